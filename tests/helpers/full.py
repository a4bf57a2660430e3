"""What plain `pytest` leaves to a full run, and a full run to soak: cases whose rule is held elsewhere at less cost."""

from __future__ import annotations

import re

LEFT = {
    # Other cases of the same test.
    r"certify/test_certify\.py::test_a_capability_that_does_not_hold_is_refuted\[(?!exclusive)": "",
    r"certify/test_certify_services\.py::(?!test_what_always_fails_is_reported\[exists)": "",
    r"test_exit\.py::TestFork::test_a_child_leaves_the_connections_of_its_parent_alone\[(?!sys\.exit\(\)-file)": "",
    r"test_model\.py::test_a_store_does_what_the_model_predicts\[(?!memory|async memory)": "",
    r"drivers/test_s3_faults\.py::\w+\[async-(open_atomic|write_atomic)-": "test_s3_faults.py, by write",
    r"drivers/test_http_listing\.py::test_the_command_line": "test_cli_copying.py",
    r"drivers/test_sftp\.py::test_honest_servers_keep_all": "test_contract.py",
    r"drivers/test_s3_copy\.py::test_a_(part_that_fails\w+\[async-(move|copy-[23])|source_that_changes.*True)": "",
    r"drivers/test_s3_foreign\.py::\w+\[sync-": "",
    r"test_requests\.py::test_a_call_stays_within_its_budget\[.*2,500": "",
    r"test_processes\.py::test_a_store_works_in_another_process\[.*a/b": "",
    # The same on a store that answers at once.
    r"drivers/test_s3\.py::test_one_of_16_racing": "test_objects_contract.py",
    r"certify/test_certify\.py::test_(async_stores_pass|a_known_filesystem_gets_none|an_unknown_filesystem)": "S3",
    r"contract/test_contract\.py::\w+\[s3-moto-(racing_updates|many_callers|one_creator)": "test_objects_contract.py",
    r"drivers/test_s3_(foreign|replies)\.py::\w+\[async-.*(move|copy)": "the other calls",
    r"drivers/test_s3_faults\.py::test_(an_unreachable_service_fails|a_body_that|a_stream_gives)": "the shared floor",
    r"drivers/test_s3_messages\.py::test_a_deadline_tells": "the other messages",
    r"ecosystem/test_zarr_suite\.py::.*(s3-|by_name-store/|wrapped-[]]|wrapped-/|asynchronous-d)": "the other ways",
    r"interop/test_abstract\.py::TestNamed(S3|(Copy|Get|Put)::\w+glob)": "TestMemoryCopy and its likes",
    r"ecosystem/test_with_zarr\.py::test_groups_of_one_store_however_its_path_is_spelled\[s3-": "files",
    r"interop/test_named\.py::test_files_are_streamed_between_stores\[.*bucket": "private stores",
    r"drivers/test_(azure|gcs)_(answers|content|faults|login|moving|secrets|trust)\.py": "contracts, S3",
    r"test_requests\.py::test_a_call_stays_within_its_budget\[.*(gcs|azure)": "S3",
    r"test_(gcs|azure)_double(_alone|_faults|_paths)?\.py": "",
    # Programs in processes of their own, of which one of each kind stays.
    r"certify/test_certify_plugin\.py": "",
    r"cli/test_cli_about\.py::test_(who_may_not_use|what_is_not_kept)": "",
    r"cli/test_cli_ending\.py::test_(what_cannot|an_interrupt|a_cert|an_unreach|a_closed_stream|a_reader)": "",
    r"cli/test_cli_looking\.py::test_tree_draws": "",
    r"test_config_registry\.py::test_(a_store_of_a_file_works_in|a_store_of_code_needs|urls_of_stores_work)": "",
    r"ecosystem/test_with_dask\.py::(?!test_stores_themselves)": "",
    r"test_docs\.py::test_python_blocks_run_in_order\[(?!README|start|guarantees)": "",
    r"test_docs\.py::test_the_readme_runs_a_second_time": "",
    r"test_exit\.py::(test_a_program_that_ends_in_the_middle|TestFork::test_workers_of_a_pool)": "",
    r"test_third_parties\.py::test_the_command_line": "",
}
"""Pattern of what tests are called, and what holds their rule in a plain run where its name does not tell."""

TO_SOAK = {
    # Certifications, each of which takes as long as a thousand other tests.
    r"certify/test_certify\.py::test_a_service_passes_and\w+\[(azurite|s3-ministack)": "s3-moto, azure-hns",
    r"certify/test_certify\.py::test_a_service_that_ignores_conditions": "a server of Google Cloud Storage",
    r"cli/test_cli_sftp\.py::test_a_server_is_certified": "test_cli_about.py, test_sftp.py",
    r"drivers/test_publishing\.py::test_certification_finds_all_that_is_declared\[(ftp|webdav)": "smb",
    r"drivers/test_sftp_connections\.py::test_the_certification_of_such": "test_sftp.py",
    r"test_matrix\.py::test_(a_lib|every|lib|our|page|requests|the_term|what)": "what it found before is in docs/",
    r"drivers/test_(gcs|azure)_\w+\.py::\w+\[(.*[^a])?sync\b": "the asynchronous twin, and S3",
    r"contract/test_contract\.py::\w+\[(azurite|gcs)-child": "azure-hns-child, s3-child",
    r"contract/test_contract\.py::test_store_keeps\[(azure|gcs-fake|s3-ministack)-(?!child|hns)": "async",
    r"contract/test_contract\.py::test_store_keeps\[(http-plain|http-alone|sftp-openssh)-(?!child)": "async",
    r"contract/test_contract\.py::test_async_store_keeps\[(ftp|webdav|smb)-(?!many|one|r)": "sync",
    r"contract/test_contract\.py::\w+\[(bridge-s3|azurite)-(?!child|r|one)": "s3-moto, azure",
    r"contract/test_contract\.py::test_async_store_keeps\[s3-child-": "sync",
    r"contract/test_contract\.py::test_store_keeps\[(dir|obstore)-s3-": "async",
    r"contract/test_contract\.py::test_async_store_keeps\[(arrow|ftp|obstore-file|smb|tar|webdav|zip)-": "sync",
    r"contract/test_contract\.py::\w+\[(arrow-tree|tar-alone|zip-alone)-": "arrow, tar, zip",
    r"cli/test_cli_copying\.py::test_stdin_is_copied_to_a_file_and_a_file_to_stdout\[(gs|az)": "s3, abfs",
    r"drivers/test_s3_slow\.py::\w+\[(async-write|sync-open_atomic)": "the other calls",
    r"test_benchmarks\.py::test_growth_and_laziness": "test_streaming.py",
    r"test_config_registry\.py::test_a_store_of_a_file_works_in_another_process\[files": "url",
    r"certify/test_certify\.py::test_a_service_passes_(and\w+\[azure\]|from_a_loop\[(?!s3))": "azurite, S3",
    r"test_requests\.py::test_a_call_stays_within_its_budget\[.*azure-(?!hns)": "azure-hns",
    r"drivers/test_azure_faults\.py::test_a_service_that_is_silent\w+\[async-test-\w+-(copy|move)": "the other calls",
    r"ecosystem/test_with_dask\.py::\w+\[(blobs|lake)": "bucket",
    r"test_model\.py::test_a_store_does_what_the_model_predicts\[(?!local|memory|async memory)": "the other places",
    r"test_(azure|gcs)_double\w*\.py::test_one_of_many_creators_wins\[.*-50": "fewer rounds",
    r"ecosystem/test_\w+\.py::\w+\[(azure|folders|google)\b(?!.*(read|write|parquet|group))": "the same on S3",
}
"""The same for what a full run leaves to `tox -e soak`."""

_LEFT, _TO_SOAK = ([re.compile(pattern) for pattern in patterns] for patterns in (LEFT, TO_SOAK))


def is_left(name: str) -> bool:
    """Whether a test is left to a full run."""
    return any(pattern.search(name) for pattern in _LEFT)


def is_for_soak(name: str) -> bool:
    """Whether a test is left to `tox -e soak`."""
    return any(pattern.search(name) for pattern in _TO_SOAK)


def unused(names: list[str]) -> list[str]:
    """Patterns that fit no test."""
    return [pattern.pattern for pattern in (*_LEFT, *_TO_SOAK) if not any(map(pattern.search, names))]
