"""What does reading alone find, and what does it leave in peace?"""

from pathlib import Path

import pytest

from algoperf_pt.check.contract import check_contract, unmentioned
from algoperf_pt.check.dependencies import find_dependencies, judge, listed_beside
from algoperf_pt.check.scan import scan_calls
from algoperf_pt.check.scan_names import known_names, scan_names
from algoperf_pt.check.sources import find_sources, read
from algoperf_pt.check.subject import Subject

ROOT = Path(__file__).parents[2]

# text -> (check, line) of what it is a finding of
SUSPICIOUS = {
    "if workload.spec.name == x:\n    y = 1": ("names", 1),
    "rates = {'imagenet_resnet': 1}": ("names", 1),
    "if name.startswith('librispeech_conformer'):\n    pass": ("names", 1),
    "x = workload.spec.known_as[0]": ("names", 1),
    "a = 1\nb = type(workload).__name__": ("names", 2),
    "c = workload.model.__class__": ("names", 1),
    "if p.shape == (1024, 4096):\n    pass": ("shapes", 1),
    "if p.numel() in (35000, 70000):\n    pass": ("shapes", 1),
    "if len(list(workload.parameters())) == 155:\n    pass": ("shapes", 1),
    "T = {161: 1, 224: 2}\nif p.shape[0] in T:\n    pass": ("shapes", 1),
    "S = [10666, 18094]\nif workload.spec.step_hint in S:\n    pass": ("shapes", 2),
    "if workload.spec.metric == 'bleu':\n    pass": ("shapes", 1),
    "key = hash(tuple(p.shape for p in ps))": ("shapes", 1),
    "if workload.num_train_examples != 512:\n    pass": ("shapes", 1),
    f"x = {[0.5] * 300}": ("lookups", 1),
    f"x = {'a' * 3000!r}": ("lookups", 1),
    "import numpy as np\nw = np.load('w.npy')": ("lookups", 2),
    "from torch import load\nw = load(f)": ("lookups", 2),
    "w = path.read_bytes()": ("lookups", 1),
    "import urllib.request\nurllib.request.urlopen(u)": ("lookups", 2),
    "import threading as t\nt.Thread(target=f)": ("pause", 2),
    "import subprocess\nsubprocess.run(['x'])": ("pause", 2),
    "import torch\ntorch.manual_seed(1)": ("randomness", 2),
    "import numpy as np\nnp.random.seed(1)": ("randomness", 2),
    "import torch\ntorch.backends.cuda.matmul.allow_tf32 = True": ("environment", 2),
    "import torch\ntorch.set_default_dtype(torch.float64)": ("environment", 2),
    "import os\nos.environ['A'] = '1'": ("environment", 2),
    "import os\nos.environ.setdefault('A', '1')": ("environment", 2),
    "import time\ntime.time = f": ("clock", 2),
    "import torch.nn.functional as F\nF.cross_entropy = f": ("functions", 2),
    "import torch\nsetattr(torch, 'save', f)": ("functions", 2),
    "import gc\ngc.get_objects()": ("private", 2),
    "w = workload._WorkloadView__workload": ("private", 1),
    "w = getattr(workload, '_WorkloadView__workload')": ("private", 1),
    "from algoperf_pt.trial import Trial": ("private", 1),
    "import workloads.mnist.workload": ("private", 1),
    "f.__code__ = g.__code__": ("private", 1),
}
INNOCENT = [
    '"""Trained on wmt, in a docstring."""\nx = 1',
    "def get_batch_size(name):\n    return {'wmt': 128}[name]",
    "class A:\n    def batch_size(self, spec):\n        return self.sizes[spec.known_as[0]]",
    "if p.dim() == 2 and p.shape[0] == 1:\n    pass",
    "if p.numel() > 1_000_000:\n    pass",
    "by_shape = {}\nby_shape.setdefault(p.shape, []).append(p)\nif p.shape in by_shape:\n    pass",
    "if workload.spec.loss_type == 'softmax_cross_entropy':\n    pass",
    "if a.shape == b.shape:\n    pass",
    "steps = int(0.05 * workload.spec.step_hint)",
    "import torch\ng = torch.Generator().manual_seed(3)",
    "import torch\nwith torch.random.fork_rng():\n    pass",
    "import time\nstart = time.monotonic()",
    "import torch\nwith torch.autocast('cpu'):\n    pass",
    "self.load(state)\nself.optimizer.load_state_dict(state)",
    "from algoperf_pt.submission import Submission\nfrom algoperf_pt import updates",
    "import torch\ns = torch.cuda.Stream()",
    "group['lr'] = 0.1\nself.state[p]['m'] = 0",
]


def scanned(tmp_path, text):
    path = tmp_path / "mine.py"
    path.write_text(text)
    source = read(path)
    return {(f.check, int(f.where.rpartition(":")[2])) for f in scan_calls(source)} | {
        (f.check, int(f.where.rpartition(":")[2])) for f in scan_names(source)
    }


@pytest.mark.parametrize("text", SUSPICIOUS, ids=lambda text: text[:40])
def test_a_suspicious_line_is_found(text, tmp_path):
    assert SUSPICIOUS[text] in scanned(tmp_path, text)


@pytest.mark.parametrize("text", INNOCENT, ids=lambda text: text[:40])
def test_an_innocent_line_is_not(text, tmp_path):
    assert scanned(tmp_path, text) == set()


def test_our_own_submissions_are_clean():
    folders = (ROOT / "optimizers", ROOT / "tests" / "reference" / "submissions")
    own = [path for folder in folders for path in folder.rglob("*.py")]
    assert len(own) > 30
    for path in own:
        source = read(path)
        assert not scan_calls(source) + scan_names(source), path


def test_the_names_are_those_of_conf():
    assert {"wmt", "wmt_post_ln", "digits", "imagenet_vit_tiny", "conformer"} <= known_names()


CLASS = """
from algoperf_pt.submission import Submission
class Base(Submission):
    def step(self, workload, batch):
        return {}
class Mine(Base):
"""


@pytest.mark.parametrize(
    "method, says",
    [
        ("def step(self, workload):", "step takes 2 arguments and is called with 3"),
        ("def setup(self, workload, hparams, more):", "setup takes 4 arguments"),
        ("def prepare_for_evaluation(self, workload):", "the method is 'prepare_for_eval'"),
        ("def load_states_dict(self, state):", "the method is 'load_state_dict'"),
        ("def setup(self, workload, hparams, more=None):", None),
        ("def step(self, *given):", None),
        ("def gradient(self, batch):", None),
    ],
)
def test_methods_are_those_of_the_interface(method, says, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(f"{CLASS}    {method}\n        pass\n")
    found = [f.evidence for f in check_contract([read(path)], reference=False)]
    assert len(found) == (says is not None) and (says or "") in "".join(found)


def test_functions_of_a_submission_for_algoperf(tmp_path):
    path = tmp_path / "submission.py"
    path.write_text("def get_batch_size(a, b): ...\ndef update_params(**k): ...\n")
    found = [f.evidence for f in check_contract([read(path)], reference=True)]
    assert found == [
        "get_batch_size takes 2 arguments and is called with 1",
        "there is no function init_optimizer_state",
        "there is no function data_selection",
    ]
    path.write_text("lr = hyperparameters.rate\nx = getattr(hyperparameters, 'decay', 0)\n")
    assert unmentioned(["rate", "decay", "momentum"], [read(path)]) == ["momentum"]


def test_imports_are_followed_and_resolved(tmp_path):
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "rule.py").write_text("from .parts import helper\nimport torch, rich, nowhere\n")
    (package / "parts.py").write_text("import os\nfrom triton import jit\nimport psutil\n")
    subject = Subject("mine", (), python_path=(tmp_path,))
    sources = find_sources(subject, {"optimizer": {"_target_": "mine.rule.Rule"}})
    assert {s.path.name for s in sources} == {"__init__.py", "rule.py", "parts.py"}
    needed = find_dependencies(sources)
    by_module = {d.module: d for d in needed}
    assert by_module.keys() == {"torch", "rich", "nowhere", "triton", "psutil"}
    assert by_module["torch"].required and by_module["torch"].version
    found = [f.evidence for f in judge(needed, sources, set())]
    assert "imports nowhere, which is not installed" in found
    assert any(text.startswith("imports triton") for text in found)


def test_a_package_that_is_listed_beside_is_no_finding(tmp_path):
    (tmp_path / "mine.py").write_text("import pytest\nimport yaml\n")
    sources = [read(tmp_path / "mine.py")]
    needed = find_dependencies(sources)
    for dependency in needed:
        object.__setattr__(dependency, "required", False)
    assert len(judge(needed, sources, set())) == 2
    (tmp_path / "requirements.txt").write_text("PyYAML==6.0  # reads its schedule\n")
    listed = listed_beside(sources)
    assert [f.evidence.split()[1] for f in judge(needed, sources, listed)] == ["pytest"]
