"""The container's contract, against files as SageMaker writes them."""

import json

import pytest

from sextant import container


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("OPT_ML", str(tmp_path))
    return tmp_path


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("folder", ["config", "input/config"])
def test_every_host_counts_the_hosts_in_the_same_order(root, folder):
    names = [f"algo-{n}" for n in (10, 2, 1, 11, 3)]
    put(root / folder / "resourceconfig.json", {"current_host": "algo-10", "hosts": names})
    assert container.hosts() == container.Hosts(3, 5, ("algo-1", "algo-2", "algo-3", "algo-10", "algo-11"))


@pytest.mark.usefixtures("root")
def test_a_program_outside_a_job_is_alone():
    assert container.hosts() == container.Hosts(0, 1, ("algo-1",))
    assert container.hyperparameters() == {}
    assert container.input_mode("train") == "File"


def test_a_host_that_is_not_among_the_hosts_is_told(root):
    put(root / "config/resourceconfig.json", {"current_host": "algo-7", "hosts": ["algo-1"]})
    with pytest.raises(container.InputError, match="algo-7"):
        container.hosts()


def test_a_torn_configuration_is_told_with_its_path(root):
    (root / "config").mkdir()
    (root / "config/resourceconfig.json").write_text('{"current_host": ')
    with pytest.raises(container.InputError, match=r"config/resourceconfig\.json is not JSON"):
        container.hosts()


def test_channels_and_hyperparameters(root):
    put(root / "input/config/hyperparameters.json", {"epochs": "5", "sagemaker_program": "the SDK's own"})
    put(root / "input/config/inputdataconfig.json", {"train": {"TrainingInputMode": "Pipe"}, "manifest": {}})
    assert container.hyperparameters() == {"epochs": "5"}
    assert container.input_mode("train") == "Pipe"
    assert container.input_mode("manifest") == "File"
    assert container.channel("train") == root / "input/data/train"
    with pytest.raises(container.InputError, match=r"no channel 'valid', only \['manifest', 'train'\]"):
        container.input_mode("valid")


def test_a_failure_is_told_to_sagemaker(root, capsys):
    def explained():
        raise container.InputError("slides.csv: no header")

    def defect():
        return 1 / 0

    assert container.failing(explained) == 1
    assert (root / "output/failure").read_text() == "slides.csv: no header"
    assert (root / "output/message").read_text() == "slides.csv: no header", "where a processing job looks"
    assert capsys.readouterr().err == "slides.csv: no header\n"
    assert container.failing(defect) == 1
    assert (root / "output/failure").read_text() == "ZeroDivisionError: division by zero"
    assert "Traceback" in capsys.readouterr().err
    assert container.failing(lambda: None) == 0


def test_a_long_reason_is_cut_to_what_sagemaker_keeps(root):
    def explained():
        raise container.InputError("x" * 5000)

    container.failing(explained)
    assert len((root / "output/failure").read_text()) == 1024


def test_no_place_for_the_failure_file_does_not_hide_the_reason(root, capsys):
    (root / "output").write_text("a file")

    def explained():
        raise container.InputError("why")

    assert container.failing(explained) == 1
    assert capsys.readouterr().err.startswith("why\n")
