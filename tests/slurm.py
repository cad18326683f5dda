"""A SLURM of one node on this machine, with files, ports and keys of its own; it needs root and Debian's packages."""

import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
DAEMONS = ("munged", "slurmctld", "slurmd")
CPUS = 4  # that the node claims to have, whatever the machine has

CONFIG = """
ClusterName=local
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# A requeued task waits until its credential has expired: 2 minutes by default.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=30
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=100000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes={host} MaxTime=INFINITE State=UP PriorityTier=2
"""


def why_not() -> str | None:
    """Why SLURM cannot be started here, None if it can."""
    lacking = [name for name in (*DAEMONS, "sbatch") if shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin") is None]
    if lacking:
        return f"there is no {', '.join(lacking)} (Debian: slurmctld slurmd munge slurm-client)"
    return None if os.geteuid() == 0 else "SLURM is started as root"


class Cluster:
    """The running SLURM; `folder` holds its files, and what tasks print in TASK.log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_"))}
        # One thread a run: more threads than cores wait for each other.
        self.environment = kept | {"PATH": path, "SLURM_CONF": str(folder / "slurm.conf"), "OMP_NUM_THREADS": "1"}

    def tell(self, line: str, **variables: str) -> str:
        """What the shell command `line` prints, run from the repository's root; `variables` are added to its environment."""
        environment = self.environment | variables | {"SBATCH_OUTPUT": f"{self.folder}/%A_%a.log"}
        done = subprocess.run(line, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def submit(self, line: str, **variables: str) -> str:
        """The job number of the sbatch command `line`."""
        found = re.fullmatch(r"Submitted batch job (\d+)\n", self.tell(line, **variables))
        assert found is not None
        return found[1]

    def wait(self, job: str) -> None:
        """Until no task of `job` waits or runs."""
        until(lambda: not self.tell(f"squeue --noheader --jobs {job} || true").strip(), f"job {job} to end", 150)

    def state(self, task: str) -> str:
        """SLURM's word for what became of the task JOB_NUMBER."""
        found = re.search(r"JobState=(\w+)", self.tell(f"scontrol show job {task}"))
        assert found is not None
        return found[1]

    def said(self, task: str) -> str:
        """What the script of the task JOB_NUMBER printed so far."""
        path = self.folder / f"{task}.log"
        return path.read_text() if path.exists() else ""


def until(true: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Wait until `true()`."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """A SLURM that is stopped, its processes and files gone, at the end; RuntimeError with its logs if it does not come up."""
    folder, host = Path(tempfile.mkdtemp(prefix="slurm")), socket.gethostname().split(".")[0]
    found = Cluster(folder)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(secrets.token_bytes(1024))
    (folder / "munge.key").chmod(0o600)
    (folder / "slurm.conf").write_text(CONFIG.format(folder=folder, host=host, ports=_free_ports(2), cpus=CPUS))
    munge = f"munged --force --key-file={folder}/munge.key --socket={folder}/munge.socket --pid-file={folder}/munged.pid"
    try:
        found.tell(f"{munge} --log-file={folder}/munged.log --seed-file={folder}/munge.seed >&2")
        found.tell(f"slurmctld -f {folder}/slurm.conf && slurmd -f {folder}/slurm.conf -N {host}")
        try:
            until(lambda: "idle" in found.tell("sinfo --noheader || true"), "the node to be idle")
        except AssertionError as error:
            raise RuntimeError("\n".join(path.read_text() for path in folder.glob("slurm*.log"))) from error
        try:
            yield found
        finally:
            found.tell("scancel --full --signal=CONT --user root; scancel --user root")
            until(lambda: not found.tell("squeue --noheader").strip(), "jobs to be cancelled")
    finally:
        for name in reversed(DAEMONS):
            _stop(folder / f"{name}.pid")
        shutil.rmtree(folder)


def _stop(pid_file: Path) -> None:
    """End the daemon that wrote `pid_file`, if it did, and wait for it."""
    if not pid_file.exists():
        return
    process = int(pid_file.read_text())
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGTERM)
        until(lambda: not Path(f"/proc/{process}").exists(), f"process {process} to end", 20)
