"""Sweeps: isolation of jobs, crashes and interruptions, and the table."""

import csv
import importlib.util
import json
import os
import signal
import subprocess
import threading
import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import LIGHT, TINY_PSNR, make_photographs, run_command

from facehall import sweep, train
from facehall.errors import PEER_LOST, USER_ERROR
from facehall.imaging import read_rgb
from facehall.io.machine import cores, default_jobs, exclusive_gpu, gpus_per_job, threads_per_job
from facehall.metrics.judges import JUDGES
from facehall.metrics.measures import Measure, to_json
from facehall.models.weights import read_metadata
from facehall.sweeps import process as sweep_process
from facehall.sweeps.launch import outcome_text
from facehall.sweeps.process import SWEEP_JOB_VARIABLE, failure_reason
from facehall.sweeps.record import Record, claim_folder, read_record, write_record
from facehall.sweeps.report import write_report
from facehall.sweeps.scatter import pareto_front
from facehall.sweeps.table import baselines, read_jobs, table, varied_keys

TWO_STEPS = [
    "curriculum.psnr.steps=2",
    "patches.steps_per_epoch=2",
]


def installed(*plugins):
    missing = [name for name in plugins if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)}: pip install 'facehall[sweeps]'")


def make_job(sweep_folder, name, *overrides, status="finished", scale=4, bicubic=25.0, gan=None, **record):
    """Write a job's folder as a training would; `gan` is the final PSNR and LPIPS."""
    folder = sweep_folder / name
    folder.mkdir(parents=True)
    write_record(folder, Record(["experiment=x", *overrides], status=status, **record))
    if gan:
        ends = {"psnr": (gan[0] + 1, gan[1] + 0.1), "gan": gan}
        summary = {"scale": scale, "protocol": "RGB", "parameters": 1000, "steps": 8}
        summary["measures"] = to_json(JUDGES[name].measure for name in ("psnr", "ssim", "lpips"))
        summary["bicubic"] = {"psnr": bicubic, "ssim": 0.7, "lpips": 0.4}
        summary |= {f"end_of_{k}_phase": {"step": 8, "psnr": p, "ssim": 0.8, "lpips": q} for k, (p, q) in ends.items()}
        (folder / "summary.json").write_text(json.dumps(summary))


@pytest.fixture
def mixed(tmp_path):
    """A sweep with two finished jobs, a failed one, and one whose process no longer exists."""
    make_job(tmp_path, "0", "g.growth=16", "seed=1", gan=(26.0, 0.2), seconds=90.0)
    make_job(tmp_path, "1", "g.growth=16", "seed=2", gan=(25.5, 0.3))
    make_job(tmp_path, "2", "g.growth=0", "seed=1", status="failed", error="no | growth")
    gone = subprocess.Popen(["true"])
    gone.wait()
    make_job(tmp_path, "10", "g.growth=0", "seed=2", status="running", process=gone.pid)
    return tmp_path


def test_the_table_includes_bicubic_and_every_job(mixed):
    jobs = write_report(mixed)
    assert [job.name for job in jobs] == ["0", "1", "2", "10"]
    assert varied_keys(jobs) == ["g.growth", "seed"]
    with (mixed / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["job"] for row in rows] == ["bicubic", "0", "1", "2", "10"]
    assert [row["status"] for row in rows] == ["", "finished", "finished", "failed: no | growth", "lost"]
    assert rows[0]["end_of_gan_phase.lpips"] == rows[0]["end_of_psnr_phase.lpips"] == "0.4"
    assert (rows[1]["end_of_psnr_phase.psnr"], rows[1]["end_of_gan_phase.psnr"]) == ("27.0", "26.0")
    assert (rows[1]["minutes"], rows[1]["steps"], rows[2]["seed"]) == ("1.5", "8", "2")
    text = (mixed / "sweep.md").read_text()
    assert "2 of 4 jobs finished; common overrides: `experiment=x`" in text
    lengths = {line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("|")}
    assert len(lengths) == 1
    assert read_rgb(mixed / "sweep.png").std() > 0
    assert "2 jobs finished, 1 failed, 1 not finished" in outcome_text(mixed, jobs)


def test_a_baseline_for_every_scale(tmp_path):
    make_job(tmp_path, "0", "scale=4", gan=(26.0, 0.2))
    make_job(tmp_path, "1", "scale=8", gan=(22.0, 0.3), scale=8, bicubic=21.0)
    make_job(tmp_path, "2", "scale=8", gan=(22.5, 0.3), scale=8, bicubic=21.0002)
    labels = [(b.label, [job.name for job in b.jobs]) for b in baselines(read_jobs(tmp_path))]
    assert labels == [("bicubic x4", ["0"]), ("bicubic x8", ["1", "2"])]
    assert [row["job"] for row in table(read_jobs(tmp_path))[1]] == ["bicubic x4", "bicubic x8", "0", "1", "2"]


def test_summaries_of_older_versions_without_declared_measures(mixed):
    for path in mixed.glob("*/summary.json"):
        summary = json.loads(path.read_text())
        del summary["measures"]
        path.write_text(json.dumps(summary))
    write_report(mixed)
    assert "LPIPS, gan phase" in (mixed / "sweep.md").read_text()
    assert (mixed / "sweep.png").is_file()


def test_a_users_measure_has_a_column_without_its_package(mixed):
    for path in mixed.glob("*/summary.json"):
        summary = json.loads(path.read_text())
        summary["measures"] |= to_json([Measure("nme", "NME", "lower", ".1f", "%")])
        for end in ("end_of_psnr_phase", "end_of_gan_phase", "bicubic"):
            summary[end]["nme"] = 3.14
        path.write_text(json.dumps(summary))
    write_report(mixed)
    text = (mixed / "sweep.md").read_text()
    assert "NME, gan phase" in text
    assert "| 3.1 |" in text
    with (mixed / "sweep.csv").open() as file:
        assert next(csv.DictReader(file))["end_of_gan_phase.nme"] == "3.14"


def test_without_finished_jobs_the_table_has_no_scatter_plot(tmp_path):
    make_job(tmp_path, "0", "seed=1", status="failed", error="no")
    write_report(tmp_path)
    assert "failed: no" in (tmp_path / "sweep.md").read_text()
    assert not (tmp_path / "sweep.png").exists()


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12))
def test_pareto_front_is_undominated_and_dominates_the_rest(points):
    front = pareto_front(points)
    for index, point in enumerate(points):
        dominated = any(p[0] >= point[0] and p[1] <= point[1] and p != point for p in points)
        assert (index in front) != dominated
    assert [points[i][0] for i in front] == sorted(points[i][0] for i in front)


def test_the_sweep_command_reports_an_interrupted_sweep(mixed, monkeypatch, capsys):
    monkeypatch.chdir(mixed)
    assert run_command(sweep.main, f"folder={mixed}") == 0
    assert "| 10 |" in capsys.readouterr().out
    assert run_command(sweep.main) == 2
    assert "runs/sweeps holds no sweep" in capsys.readouterr().err
    assert run_command(sweep.main, f"folder={mixed / '0'}") == 2


def test_equal_overrides_reuse_a_folder_and_others_get_a_free_one(tmp_path):
    folder, record = claim_folder(tmp_path / "0", ["a=1", "b=2"])
    assert folder == tmp_path / "0"
    assert claim_folder(tmp_path / "1", ["b=2", "a=1"])[0] == tmp_path / "1"  # job 0 is still running, in this process
    for name in ("0", "1"):
        write_record(tmp_path / name, Record(record.overrides, status="finished", seconds=3.0))
    folder, record = claim_folder(tmp_path / "7", ["b=2", "a=1"])
    assert (folder, record.status, record.seconds) == (tmp_path / "0", "finished", 3.0)
    assert claim_folder(tmp_path / "0", ["a=3"])[0] == tmp_path / "2"
    assert claim_folder(tmp_path / "named", ["a=4"])[0] == tmp_path / "named"
    assert claim_folder(tmp_path / "named", ["a=5"])[0] == tmp_path / "named-2"


def test_jobs_share_the_machine(monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert default_jobs() == min(cores(), 4)
    assert threads_per_job(1) == cores()
    assert threads_per_job(1000) == 1
    with exclusive_gpu(tmp_path, 2) as gpu:
        assert gpu is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    assert default_jobs() == 2
    assert (gpus_per_job(1), gpus_per_job(2), gpus_per_job(4)) == (2.0, 1.0, 0.5)
    with exclusive_gpu(tmp_path, 2) as first:
        with exclusive_gpu(tmp_path, 2) as second:
            assert (first, second) == ("4", "7")
        with exclusive_gpu(tmp_path, 2) as again:
            assert again == "7"
    assert not list(tmp_path.iterdir())


def test_failure_reason_is_one_line():
    assert failure_reason(-9, "") == "killed by SIGKILL (out of memory?)"
    for status in (USER_ERROR, PEER_LOST):
        assert failure_reason(status, "epoch 1\n\nfacehall: no such\n") == "no such"
    crash = "Traceback (most recent call last):\n  File x\n    code\nRuntimeError: first\nafterwards: noise\n"
    assert failure_reason(1, f"epoch 1\n{crash}") == "RuntimeError: first"
    assert failure_reason(3, "") == "exited with status 3"


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Run a sweep over tiny trainings, each job in its own process; return the exit status."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(SWEEP_JOB_VARIABLE, raising=False)
    before = signal.getsignal(signal.SIGTERM)
    data = make_photographs(tmp_path / "photographs", 6)
    common = [*TINY_PSNR, *TWO_STEPS, "data=folder", f"data.root={data}", "hydra.sweep.dir=sweep"]

    def run(*overrides):
        return run_command(train.main, "-m", *common, *LIGHT, *overrides)

    yield run
    signal.signal(signal.SIGTERM, before)


def when(condition, action):
    """Run an action on a thread as soon as a condition holds."""

    def watch():
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            if condition():
                return action()
            time.sleep(0.05)

    threading.Thread(target=watch, daemon=True).start()


@pytest.fixture
def processes(preloaded, monkeypatch):
    """The processes of the sweep's jobs, oldest first, which need no imports."""
    started = []

    def popen(*args, **options):
        started.append(preloaded.popen(*args, **options))
        return started[-1]

    monkeypatch.setattr(sweep_process, "subprocess", SimpleNamespace(**{**vars(subprocess), "Popen": popen}))
    return started


@pytest.mark.slow
def test_crashes_and_interrupts_do_not_affect_other_jobs(start, processes, tmp_path, capfd):
    """In sequence: a user error, a kill -9, a finished job, a Ctrl-C; then the same command again."""
    jobs = "patches.batch_size=0,2,3", "curriculum.psnr.steps=2", "runtime.compile=false"
    when(lambda: len(processes) == 2, lambda: processes[1].kill())
    assert start(*jobs) == 2
    assert "2 of 3 jobs failed" in capfd.readouterr().err
    statuses = [job.status for job in read_jobs(tmp_path / "sweep")]
    assert statuses[0] == "failed: patches: batch_size must be at least 1, not 0."
    assert statuses[1:] == ["failed: killed by SIGKILL (out of memory?)", "finished"]
    assert "python -m facehall.train experiment=psnr" in (tmp_path / "sweep" / "0" / "error.txt").read_text()
    before = (tmp_path / "sweep" / "2" / "log.txt").read_bytes()

    long = "curriculum.psnr.steps=2,1000000"
    metrics = tmp_path / "sweep" / "3" / "metrics.csv"
    when(metrics.is_file, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert start("patches.batch_size=3", long, "runtime.compile=false") == 130
    assert [job.status for job in read_jobs(tmp_path / "sweep")][2:] == ["finished", "interrupted"]
    assert (tmp_path / "sweep" / "2" / "log.txt").read_bytes() == before  # not run again
    assert "| 3 |" in (tmp_path / "sweep" / "sweep.md").read_text()
    assert [process.returncode for process in processes] == [USER_ERROR, -signal.SIGKILL, 0, 128 + signal.SIGTERM]


@pytest.mark.slow
@installed("hydra_plugins.hydra_joblib_launcher", "hydra_plugins.hydra_optuna_sweeper")
def test_optuna_continues_after_a_failed_job(start, processes, tmp_path):
    """With 3, 1 and 1: the first does not divide steps_per_epoch, the last is not run again."""
    drawn = ["hydra/sweeper/sampler=random", "hydra.sweeper.sampler.seed=8", "hydra.sweeper.n_trials=3"]
    options = ["search=optuna", "sweep=joblib", "sweep.jobs=1", "search.objective=psnr", *drawn]
    failed = start(*options, "training.accumulate=choice(1,3)")
    jobs = {job.overrides["training.accumulate"]: job for job in read_jobs(tmp_path / "sweep")}
    statuses = [job.record.status for job in read_jobs(tmp_path / "sweep")]
    assert failed == 1
    assert sorted(statuses) == ["failed", "finished"]
    assert jobs["1"].record.status == "finished"
    assert "accumulate=3 does not divide" in jobs["3"].status
    weights = tmp_path / "sweep" / jobs["1"].name / "weights" / "generator.safetensors"
    assert read_metadata(weights)["step"] == "2"
    best = (tmp_path / "sweep" / "optimization_results.yaml").read_text()
    assert f"best_value: {jobs['1'].summary['end_of_psnr_phase']['psnr']}" in best
    assert (tmp_path / "sweep" / "study.db").is_file()
    assert len(processes) == 2


@pytest.mark.slow
@installed("hydra_plugins.hydra_joblib_launcher")
def test_joblib_runs_jobs_in_processes_of_its_own(start, tmp_path):
    """Two at a time. They fail before the imports that take most of a tiny training's time."""
    assert start("sweep=joblib", "sweep.jobs=2", "plugins=[nowhere],[nothing]") == 2
    jobs = read_jobs(tmp_path / "sweep")
    assert [job.record.status for job in jobs] == ["failed", "failed"]
    for job, name in zip(jobs, ("nowhere", "nothing"), strict=True):
        assert name in job.record.error
        assert read_record(tmp_path / "sweep" / job.name).process != os.getpid()


@pytest.mark.slow
@installed("ray", "hydra_plugins.hydra_ray_launcher")
def test_ray_continues_after_a_failed_job(start, tmp_path):
    import ray

    try:
        assert start("sweep=ray", "sweep.jobs=2", "patches.batch_size=0,2") == 1
    finally:
        ray.shutdown()
    assert [job.record.status for job in read_jobs(tmp_path / "sweep")] == ["failed", "finished"]
    assert read_record(tmp_path / "sweep" / "1").process != os.getpid()


def test_a_missing_plugin_is_reported_in_one_paragraph(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_command(train.main, "-m", "experiment=psnr", "seed=1,2", "hydra/launcher=nowhere") == 2
    assert "pip install 'facehall[sweeps]'" in capsys.readouterr().err


def test_cfg_prints_the_config_without_running(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_command(train.main, "experiment=psnr", "--cfg", "job") == 0
    assert "name: psnr" in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()
