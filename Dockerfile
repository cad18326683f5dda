# The suite in a container; the current folder is copied, with its .git, so that a run's record names the commit.
#
#   docker build -t atari-100k .
#   docker run --gpus all -v "$PWD/runs:/suite/runs" atari-100k python train.py --game Pong --agent spr_ht
#
# That is PyTorch's CUDA build, which is what pip installs on x86 Linux; it computes on CPUs, too, but has some gigabytes more.
# For CPUs alone give the address of PyTorch's index of CPU builds, as the page "Get started" of pytorch.org names it:
#
#   docker build -t atari-100k --build-arg TORCH_INDEX=ADDRESS .
FROM python:3.12-slim
ARG TORCH_INDEX=
# git: a run's record names the commit. g++: for --execution.compiled.
RUN apt-get update && apt-get install -y --no-install-recommends git g++ && rm -rf /var/lib/apt/lists/*
WORKDIR /suite
COPY constraints.txt ./
RUN pip install --no-cache-dir ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} -c constraints.txt torch
COPY . .
RUN pip install --no-cache-dir -c constraints.txt -e '.[suite,test,report,video,watch]'
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
CMD ["python", "train.py", "--help"]
