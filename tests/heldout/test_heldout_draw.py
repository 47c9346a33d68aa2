"""Drawing held-out workloads as AlgoPerf 0.5 did: what its script gives for two seeds."""

import json

import pytest

from algoperf_pt.errors import ConfigError
from algoperf_pt.heldout.__main__ import main
from algoperf_pt.heldout.draw import draw, parse_lists
from algoperf_pt.heldout.files import read_ours
from tests.support.workloads import NAMES, node

COMPETITION = [
    "librispeech_conformer_layernorm",
    "imagenet_resnet_large_bn_init",
    "ogbg_model_size",
    "wmt_glu_tanh",
    "fastmri_tanh",
    "criteo1tb_embed_init",
]
OF_SEED_0 = [
    "librispeech_deepspeech_tanh",
    "imagenet_vit_glu",
    "ogbg_silu",
    "wmt_post_ln",
    "fastmri_model_size",
    "criteo1tb_layernorm",
]


def lists():
    return parse_lists(read_ours("heldout", "v05"), "conf/heldout/v05.yaml")


@pytest.mark.parametrize("seed, expected", [(3438810845, COMPETITION), (0, OF_SEED_0)])
def test_the_draws_of_the_reference(seed, expected):
    drawn = draw(lists(), seed)
    assert list(drawn.values()) == expected
    assert list(drawn) == ["librispeech", "imagenet", "ogbg", "wmt", "fastmri", "criteo1tb"]


def test_the_file_holds_the_competition_s_seed():
    assert read_ours("heldout", "v05")["seed"] == 3438810845


def test_every_listed_variant_is_a_workload_with_a_base():
    names = [name for variants in lists().values() for name in variants]
    assert set(names) <= set(NAMES)
    assert all(node(name).base in NAMES for name in names)


def test_the_order_of_lists_is_part_of_the_draw():
    turned = dict(reversed(lists().items()))
    assert set(draw(turned, 3438810845).values()) != set(COMPETITION)


def test_the_command(capsys):
    assert main(["draw", "--seed", "3438810845"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == COMPETITION and said.err == ""
    assert main(["draw", "--seed", "3438810845", "--overrides"]) == 0
    assert capsys.readouterr().out == f"workload={','.join(COMPETITION)}\n"


def test_seed_0_warns_that_it_was_none(capsys):
    assert main(["draw", "--seed", "0"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == OF_SEED_0
    assert "takes 0 for no seed" in said.err


def test_without_a_seed_the_drawn_one_is_told(capsys):
    assert main(["draw"]) == 0
    said = capsys.readouterr()
    seed = int(said.err.split("note: seed ")[1].split(",")[0])
    assert json.loads(said.out) == list(draw(lists(), seed).values())


def test_lists_of_one_s_own(tmp_path, capsys):
    file = tmp_path / "mine.yaml"
    file.write_text("lists: {one: [a], two: [b]}\n")
    assert main(["draw", "--seed", "5", "--lists", str(file)]) == 0
    assert json.loads(capsys.readouterr().out) == ["a", "b"]


@pytest.mark.parametrize(
    "text, message",
    [
        ("{}", "no lists"),
        ("lists: {a: []}", "lists.a is"),
        ("lists: {a: [x], b: [x]}", "lists.b holds 'x'"),
        ("lists: [", "no valid YAML"),
    ],
)
def test_wrong_lists_say_what_is_wrong(tmp_path, capsys, text, message):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    assert main(["draw", "--seed", "5", "--lists", str(file)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--seed", "-1"], ["--seed", "1", "--lists", "v99"]])
def test_wrong_words_are_errors(capsys, words):
    assert main(["draw", *words]) == 2
    assert "expected" in capsys.readouterr().err


def test_a_negative_seed_is_refused():
    with pytest.raises(ConfigError, match="seed -1"):
        draw(lists(), -1)
