"""The model card of an exported policy: a README.md as the Hugging Face Hub reads it, YAML before Markdown."""

from typing import Any

from experiment.provenance import short

LICENCE = "mit"  # this repository's, as the Hub writes it


def card(record: dict[str, Any], file: str) -> str:
    """The card of the policy in `file`, which has this `record`."""
    settings, result = record["settings"], record["played"] or record["score"]
    agent, game = settings["agent"], settings["game"]
    tags = ["reinforcement-learning", "deep-reinforcement-learning", "atari", "atari-100k", game]
    front = [f"license: {LICENCE}", "library_name: hare-and-tortoise", "pipeline_tag: reinforcement-learning"]
    front += ["tags:", *(f"- {tag}" for tag in tags), *(_index(agent, game, result) if result is not None else [])]
    return "\n".join(["---", *front, "---", f"# {agent} on {game}", "", *_body(record, result, file), ""])


def _index(agent: str, game: str, result: dict[str, Any]) -> list[str]:
    """The part of the front matter from which the Hub makes its tables of results."""
    return [
        "model-index:",
        f"- name: {agent}",
        "  results:",
        "  - task:",
        "      type: reinforcement-learning",
        "      name: reinforcement-learning",
        "    dataset:",
        f"      name: {game}",
        f"      type: {game}",
        "    metrics:",
        "    - type: mean_reward",
        f"      value: {_score(result)}",
        "      name: mean_reward",
        "      verified: false",
    ]


def _score(result: dict[str, Any]) -> str:
    """The score, with its standard error if there is one."""
    error = result["standard_error"]
    return f"{result['score']:.1f}" + (f" +/- {error:.1f}" if error is not None else "")


def _body(record: dict[str, Any], result: dict[str, Any] | None, file: str) -> list[str]:
    settings, made = record["settings"], record["made"]
    versions = ", ".join(f"{name} {version}" for name, version in (record["versions"] or {}).items())
    commits = (record["score"] or {}).get("commits") or [made.get("commit", "unknown")]
    facts = {
        "Game": f"{settings['game']}, Atari-100k protocol (4 frames a step, no sticky actions, whole games)",
        "Agent": f"`{settings['agent']}`, seed {settings['seed']}",
        "Training": f"{record['env_step']:,} env steps, {4 * record['env_step']:,} frames",
        "Score": _told(result),
        "Weights": _weights(record),
        "Command": f"`python {made['command']}`" if "command" in made else "unknown",
        "Commit": ", ".join(f"`{short(str(commit))}`" for commit in commits),
        "Versions": versions or "unknown",
        "Licence": LICENCE.upper(),
    }
    return [
        f"An agent of hare-and-tortoise, a suite for Atari-100k. Every setting is in the metadata of `{file}`.",
        "",
        *("| | |", "| --- | --- |", *(f"| {name} | {fact} |" for name, fact in facts.items())),
        "",
        "From a checkout of the suite:",
        "",
        *("```bash", f"python eval.py {file} --video film.mp4", "```"),
        "",
        *("```python", "from policy import Policy", ""),
        f'policy = Policy.load("{file}")',
        *("action = policy.act(observation)  # the last four frames, uint8 [4, 84, 84]", "```"),
    ]


def _told(result: dict[str, Any] | None) -> str:
    """The score and what it is of, in words."""
    if result is None:
        return "not evaluated"
    error = " (+/- its standard error)" if result["standard_error"] is not None else ""
    return f"{_score(result)}, the mean return of {result['episodes']} games{error}; human-normalised {result['hns']:.3f}"


def _weights(record: dict[str, Any]) -> str:
    """In which precision they are stored, and what is known of the score in that."""
    if record["precision"] == "float32":
        return "float32"
    own, played = record["score"], record["played"]
    if played is None:
        return f"{record['precision']}; the score is that of the float32 weights, and was not measured again with these"
    return f"{record['precision']}, with which the score was played" + (f"; {_told(own)} in float32" if own is not None else "")
