import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from pipeline.data.demo import write_corpus
from tests.data.demo import checker

# Changing the grammar changes these: say so in the change, since every demo score moves with them.
GOLDEN_20K = {
    "child_directed.txt": "cade908956bdeaba850af3b9eb4ca8ffd8ebb4e921ac0c257fb50bc936a10aa4",
    "description.txt": "3fc299cfb8a48b24944df17c46fc7a1809c821309f837c09a677c4a462108207",
    "dialogue.txt": "7aeac61e4489abb533e92f15769f2967868e1f1d5217d961ff771326d0cad063",
    "narrative.txt": "f3b0fb4b4822e33a7375eb3e951f81e46bc504c65faee78c46d343c22c371bb1",
}
REGISTERS = ["child_directed", "description", "dialogue", "narrative"]
ROOT = Path(__file__).parents[3]


def sentences(text: str) -> list[str]:
    """Cut the corpus into sentences, without the names of the speakers of a dialogue."""
    without_speakers = re.sub(r"^[A-Z][a-z]+: ", "", text, flags=re.MULTILINE)
    return [found.strip() for found in re.findall(r"[^.?!\n]+[.?!]", without_speakers)]


def test_corpus_has_the_golden_bytes(tmp_path: Path) -> None:
    write_corpus(tmp_path, 20_000)
    digests = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()
    }
    assert digests == GOLDEN_20K


def test_full_corpus_has_about_a_million_words(corpus: dict[str, str]) -> None:
    assert sorted(corpus) == REGISTERS
    words = sum(len(text.split()) for text in corpus.values())
    assert 1_000_000 <= words < 1_002_000


def test_smaller_corpus_is_a_prefix(corpus: dict[str, str], tmp_path: Path) -> None:
    write_corpus(tmp_path, 5_000)
    for register, text in corpus.items():
        small = (tmp_path / f"{register}.txt").read_text(encoding="utf-8")
        assert text.startswith(small.rstrip("\n"))


def test_documents_are_parted_by_one_blank_line(corpus: dict[str, str]) -> None:
    for text in corpus.values():
        assert text.endswith("\n")
        assert "\n\n\n" not in text
        documents = text.strip().split("\n\n")
        assert len(documents) > 1_000
        assert all(5 < len(document.split()) < 400 for document in documents)


def test_bytes_do_not_depend_on_the_hash_seed(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from pipeline.data.demo import *\n"
        "write_corpus(Path(sys.argv[1]), 5000); write_pairs(Path(sys.argv[1]))"
    )
    contents = []
    for hash_seed in ("0", "4711"):
        out = tmp_path / hash_seed
        subprocess.run(
            [sys.executable, "-c", script, str(out)],
            check=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
        )
        contents.append({path.name: path.read_bytes() for path in out.glob("*.*")})
    assert contents[0] == contents[1]
    assert len(contents[0]) > len(REGISTERS)


def test_word_frequencies_fall_like_a_power(corpus: dict[str, str]) -> None:
    counts = Counter(word for text in corpus.values() for word in checker.words(text))
    ranked = [count for _, count in counts.most_common()]
    assert 500 < len(ranked) < 2_000
    assert ranked[0] > 8 * ranked[20] > 24 * ranked[200] > 48 * ranked[500]


def test_every_noun_and_verb_occurs_often(corpus: dict[str, str]) -> None:
    counts = Counter(word for text in corpus.values() for word in checker.words(text))
    rare = {word for word in checker.SINGULARS | checker.PLURALS if counts[word] < 50}
    assert rare == set()


@pytest.mark.parametrize("register", REGISTERS)
def test_sentences_keep_the_rules(corpus: dict[str, str], register: str) -> None:
    wrong = [
        (sentence, broken)
        for sentence in sentences(corpus[register])[:5_000]
        if (broken := checker.faults(sentence))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("sentence", "broken"),
    [
        ("The hungry dogs sleeps.", "agreement"),
        ("Every king are tired.", "agreement"),
        ("Mary saw these big dog.", "determiner"),
        ("A apple fell.", "article"),
        ("The king will help herself.", "reflexive"),
        ("The queens saw itself.", "reflexive"),
        ("The boy has ever slept.", "polarity"),
    ],
)
def test_checker_finds_faults(sentence: str, broken: str) -> None:
    assert broken in checker.faults(sentence)


def test_dialogue_lines_name_their_speaker(corpus: dict[str, str]) -> None:
    lines = [line for line in corpus["dialogue"].splitlines() if line]
    assert all(re.match(r"[A-Z][a-z]+: [A-Z]", line) for line in lines)


def test_questions_end_in_a_question_mark(corpus: dict[str, str]) -> None:
    opening = re.compile(r"^(Does|Do you|Did|Is|Are|Was|Were|Has|Have|Who|What|Where|Why|How) ")
    asked = [one for one in sentences(corpus["child_directed"]) if opening.match(one)]
    assert len(asked) > 5_000
    assert all(one.endswith("?") for one in asked)
