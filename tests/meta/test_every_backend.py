"""What a backend computes is tested with each backend.

A test file that imports a backend, or a module of hvae that computes with one, is marked
``every_backend`` as a whole, or stands in the list below with the reason why its tests, or those
that are not marked, say the same on every backend.
"""

import ast
import functools
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
FILES = sorted(path for path in TESTS.rglob("test_*.py"))
MARK = "pytest.mark.every_backend"
#: what computes with a backend: these modules and all below them
COMPUTING = (
    "keras", "jax", "tensorflow", "torch", "openvino", "onnxruntime", "hvae_core.api",
    "hvae_core.backends", "hvae_core.evaluation", "hvae_core.inference", "hvae_core.layers",
    "hvae_core.model", "hvae_core.plugins.testing", "hvae_core.training.joined",
    "hvae_core.training.loop", "hvae_core.training.objective", "hvae_core.training.optimizer",
    "hvae_core.training.run", "hvae_core.training.step", "hvae_core.vae",
)  # fmt: skip
#: and these themselves, the parts of which are light
FACADES = ("hvae", "hvae_core", "hvae_core.training")

COMMANDS = "the commands' texts, files and exit codes"
FLOWS = "golden/ has the numbers and gradients of flows, and the numbers of models with them"
ATTENTION = "golden/test_backends_agree.py has the numbers and gradients of a model with it"
CHOICE = "which components are found and how they are named"
#: file: what its tests, or those that are not marked, show whatever the backend
RUN_ONCE = {
    "benchmarks/test_grow_model.py": "weights are NumPy arrays by name",
    "benchmarks/test_plain_torch.py": "both are PyTorch's",
    "cli/test_bad_inputs.py": COMMANDS,
    "cli/test_model_commands.py": COMMANDS,
    "cli/test_plugins_cli.py": COMMANDS,
    "cli/test_progress_cli.py": COMMANDS,
    "cli/test_told_early.py": COMMANDS,
    "cli/test_train_cli.py": COMMANDS,
    "contract/test_datasets.py": "data sets give NumPy arrays",
    "contract/test_learning_rates.py": "schedules are numbers",
    "contract/test_measurements.py": "measurements are of NumPy arrays",
    "contract/test_trackers.py": "trackers take numbers",
    "faults/test_hostile_values.py": "what is refused before anything is computed",
    "golden/test_recorded_figures.py": "test_backends_agree.py has the backends' agreement",
    "meta/test_hidden_names.py": "names",
    "meta/test_public_names.py": "names",
    "unit/core/backends/test_allocation.py": "memory of arrays, whatever computes",
    "unit/core/backends/test_capturing.py": "graphs are PyTorch's",
    "unit/core/backends/test_cuda_graphs.py": "graphs are PyTorch's",
    "unit/core/backends/test_selection.py": "which backend is chosen, before any is there",
    "unit/core/cli/test_common.py": COMMANDS,
    "unit/core/config/test_loading.py": "configurations; Keras names the activations",
    "unit/core/config/test_three_ways.py": "configurations",
    "unit/core/model/test_attention_in_hierarchy.py": ATTENTION,
    "unit/core/model/test_flows_in_hierarchy.py": FLOWS,
    "unit/core/model/test_model_options.py": "shapes and places; golden/ has the options' numbers",
    "unit/core/model/test_top_prior.py": "golden/test_backends_agree.py has a prior's numbers",
    "unit/plugins/priors/test_diffusion_vampprior.py": "its contract is kept on each backend",
    "unit/core/plugins/test_version_1.py": "who is built with what; the numbers are of others",
    "unit/core/explore/test_actions.py": "the page calls the model's own methods",
    "unit/core/explore/test_uploads.py": "the page's files",
    "unit/core/evaluation/test_completing.py": "figures of NumPy arrays",
    "unit/core/evaluation/test_kept_bounds.py": "what is kept of an evaluation",
    "unit/core/evaluation/test_measured_inputs.py": "measurements are of NumPy arrays",
    "unit/core/inference/test_denoising.py": "how draws are numbered, summed and cut",
    "unit/core/exporting/test_onnx_export.py": "exports from PyTorch alone",
    "unit/core/exported/test_exported_model.py": "which graph a verb runs; formats have their own",
    "unit/core/files/test_digests_and_versions.py": "files",
    "unit/core/report/test_report.py": "files and pictures",
    "unit/core/importing/test_choosing.py": CHOICE,
    "unit/core/importing/test_torch_files.py": "files that PyTorch reads, whatever computes",
    "unit/core/plugins/test_checking.py": "how the contracts are run and reported",
    "unit/core/plugins/test_contract_kit.py": "what importing a component changes",
    "unit/core/plugins/test_foreign_data.py": CHOICE,
    "unit/core/test_api.py": CHOICE,
    "unit/core/data/test_python_objects.py": "data sets give NumPy arrays",
    "unit/core/test_other_sizes.py": "which sizes there are, and where tiles are cut",
    "unit/core/test_own_data.py": "data sets give NumPy arrays",
    "unit/core/training/test_joined.py": "one rule of each kind is run on every backend",
    "unit/core/training/test_loop.py": "when a run records, saves, validates and stops",
    "unit/core/training/test_memory.py": "estimates; PyTorch alone tells what a graph keeps",
    "unit/core/training/test_partial_posterior.py": "a toy and refusals; the update is marked",
    "unit/core/training/test_conditional_run.py": "what batches hold is NumPy's; steps are resumed "
    "on each backend in test_loop.py",
    "unit/core/training/test_run.py": "a stand-in of NumPy makes the updates",
    "unit/core/training/test_schedules.py": "schedules are numbers",
    "unit/core/zoo/test_shipped_presets.py": "the recorded figures of the presets",
    "unit/plugins/attention/test_davi.py": ATTENTION,
    "unit/plugins/flows/test_conv_sylvester.py": FLOWS,
    "unit/plugins/flows/test_flow_densities.py": FLOWS,
    "unit/plugins/flows/test_flow_options.py": FLOWS,
    "unit/plugins/flows/test_sylvester.py": FLOWS,
    "unit/plugins/importers/test_efficient_vdvae.py": "files and names; PyTorch writes the files",
    "unit/plugins/importers/test_openai_vdvae.py": "names and shapes; the goldens have the numbers",
    "unit/plugins/importers/test_zea.py": "names and shapes; the goldens have the numbers",
    "unit/plugins/optimizers/test_keras_optimizers.py": "options are Keras's on every backend",
    "unit/plugins/regularizers/test_cr_vae.py": "a step with it is taken on every backend",
    "unit/plugins/schedules/test_curves.py": "schedules are numbers",
    "unit/plugins/trackers/test_tracked_runs.py": "trackers take numbers",
}


def relative(path):
    return path.relative_to(TESTS).as_posix()


def computes(tree):
    """Whether a file imports, at the top or in a function, what computes."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.importorskip":
            names.update(str(word.value) for word in node.args if isinstance(word, ast.Constant))
    rooms = tuple(f"{room}." for room in COMPUTING)
    return any(name in FACADES or f"{name}.".startswith(rooms) for name in names)


def is_marked(tree):
    """Whether the file as a whole is marked."""
    return any(
        isinstance(node, ast.Assign)
        and ast.unparse(node.targets[0]) == "pytestmark"
        and MARK in ast.unparse(node.value)
        for node in tree.body
    )


@functools.cache
def trees():
    """The files, read once by the worker that needs them."""
    return {relative(path): ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def test_a_file_that_computes_is_marked_or_has_a_reason():
    unmarked = {name for name, tree in trees().items() if computes(tree) and not is_marked(tree)}
    assert sorted(unmarked - RUN_ONCE.keys()) == [], "mark them every_backend, or give a reason"
    assert sorted(RUN_ONCE.keys() - unmarked) == [], "these need no reason any more"


def test_a_file_is_marked_because_it_computes():
    marked = {name for name, tree in trees().items() if is_marked(tree)}
    assert sorted(name for name in marked if not computes(trees()[name])) == []


def test_the_mark_is_the_one_that_the_backends_are_chosen_by():
    """A test that only one backend can run is marked too, or it would be run with none."""
    for name, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not is_marked(tree):
                marks = [ast.unparse(mark) for mark in node.decorator_list]
                needs = [mark for mark in marks if "config.backend() !=" in mark]
                torch_alone = all("'torch'" in mark for mark in needs)
                assert torch_alone or MARK in marks, f"{name}: {node.name}"
