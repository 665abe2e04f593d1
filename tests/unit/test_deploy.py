"""What operators copy: compose, image, Kubernetes, Prometheus and Grafana, held against the settings and each other.

No container engine is needed: the files are parsed, and every reference in them is followed.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

from workers import __version__
from workers.metrics import Metrics
from workers.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DEFAULTS = Settings()
COMMANDS = {"worker", "topics", "simulate", "replay", "tail", "dead-letters", "doctor", "offline", "schemas"}


def _metrics() -> dict[str, set[str]]:
    """Labels of every metric that a worker has, by the name under which Prometheus stores it."""
    found = {}
    for each in vars(Metrics()).values():
        if hasattr(each, "describe"):
            (family,) = each.describe()
            found[family.name + ("_total" if family.type == "counter" else "")] = set(each._labelnames)
    return found


METRICS = _metrics()
SCRAPE_LABELS = {"le", "job", "instance"}


class ComposeLoader(yaml.SafeLoader):
    """YAML with compose's tag for taking an inherited value away; a key given twice is an error."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value if key.value != "<<"]
        assert len(keys) == len(set(keys)), f"key given twice: {node.start_mark}"
        return super().construct_mapping(node, deep)


ComposeLoader.add_constructor("!reset", lambda loader, node: None)


def compose(name: str) -> dict:
    return yaml.load((ROOT / name).read_text("utf-8"), ComposeLoader)


def kubernetes() -> list[dict]:
    files = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    return [document for file in files for document in yaml.load_all(file.read_text("utf-8"), ComposeLoader)]


def of_kind(kind: str) -> list[dict]:
    return [document for document in kubernetes() if document["kind"] == kind]


def seconds(text: str) -> int:
    return int(re.fullmatch(r"(\d+)s", text)[1])


def settings_from(environment: dict[str, str]) -> Settings:
    """The settings that this environment gives; a name that is no setting, or a value out of range, fails."""
    values = {key: value for key, value in environment.items() if not value.startswith("${")}
    ours = {key for key in environment if key.startswith("WARDSTREAM_")}
    unknown = ours - {f"WARDSTREAM_{field.upper()}" for field in Settings.model_fields}
    assert not unknown
    return Settings(**{key.removeprefix("WARDSTREAM_").lower(): values[key] for key in ours & set(values)})


MAIN = compose("docker-compose.yml")
SERVICES = MAIN["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("wardstream")}
THIRD_PARTY = {name: service for name, service in SERVICES.items() if name not in OURS}


class TestCompose:
    def test_has_every_part(self):
        assert set(SERVICES) == {"kafka", "redis", "topics", "worker", "replay", "prometheus", "grafana"}
        assert {
            name: tuple(service.get("profiles", ())) for name, service in SERVICES.items() if "profiles" in service
        } == {
            "replay": ("replay",),
            "prometheus": ("observability",),
            "grafana": ("observability",),
        }

    @pytest.mark.parametrize("name", SERVICES)
    def test_images_name_a_version(self, name):
        assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+[\w.-]*", SERVICES[name]["image"])

    def test_the_image_has_the_version_of_the_package(self):
        assert {service["image"] for service in OURS.values()} == {f"wardstream:{__version__}"}

    @pytest.mark.parametrize("name", SERVICES)
    def test_what_a_service_waits_for_exists_and_can_become_so(self, name):
        for other, how in SERVICES[name].get("depends_on", {}).items():
            waited = SERVICES[other]
            if how["condition"] == "service_healthy":
                checked_by_image = other in OURS and "healthcheck" not in waited  # HEALTHCHECK of the Dockerfile
                assert checked_by_image or "test" in waited["healthcheck"]
            else:
                assert how["condition"] == "service_completed_successfully"
                assert waited["restart"] == "no"

    def test_the_worker_starts_after_kafka_redis_and_topics(self):
        assert {name: how["condition"] for name, how in SERVICES["worker"]["depends_on"].items()} == {
            "kafka": "service_healthy",
            "redis": "service_healthy",
            "topics": "service_completed_successfully",
        }

    @pytest.mark.parametrize("name", THIRD_PARTY)
    def test_every_other_service_has_a_health_check_and_survives_a_restart(self, name):
        assert THIRD_PARTY[name]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
        assert THIRD_PARTY[name]["restart"] == "unless-stopped"

    @pytest.mark.parametrize("name", OURS)
    def test_commands_exist_and_environments_are_settings(self, name):
        assert OURS[name]["command"][0] in COMMANDS
        settings = settings_from(OURS[name]["environment"])
        kafka_host, _, kafka_port = settings.kafka_bootstrap_servers.partition(":")
        listeners = SERVICES[kafka_host]["environment"]["KAFKA_LISTENERS"]
        assert f"INSIDE://:{kafka_port}" in listeners
        redis = settings.redis_url.get_secret_value()
        assert re.fullmatch(r"redis://redis:6379/\d", redis)

    @pytest.mark.parametrize("name", OURS)
    def test_our_containers_have_no_more_rights_than_they_need(self, name):
        service = OURS[name]
        assert service["read_only"] is True
        assert service["tmpfs"] == ["/tmp"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["init"] is True

    def test_the_worker_answers_where_its_port_is_published(self):
        worker = SERVICES["worker"]
        settings = settings_from(worker["environment"])
        assert settings.web_host == "0.0.0.0"
        assert worker["ports"] == [f"127.0.0.1:{settings.web_port}:{settings.web_port}"]

    def test_the_worker_has_time_to_drain(self):
        worker = SERVICES["worker"]
        assert seconds(worker["stop_grace_period"]) > settings_from(worker["environment"]).drain_s + 5

    def test_image_roots_are_mounted_read_only(self):
        (mount,) = SERVICES["worker"]["volumes"]
        root = settings_from(SERVICES["worker"]["environment"]).image_roots[0]
        assert mount.endswith(f":{root}:ro")

    @pytest.mark.parametrize("name", SERVICES)
    def test_ports_are_published_on_this_machine_only(self, name):
        for port in SERVICES[name].get("ports", []):
            assert port.startswith("127.0.0.1:")

    def test_no_two_services_publish_the_same_port(self):
        published = [port.split(":")[1] for service in SERVICES.values() for port in service.get("ports", [])]
        assert len(published) == len(set(published))

    def test_volumes_are_declared_used_and_present(self):
        mounts = [mount.rpartition(":/")[0] for service in SERVICES.values() for mount in service.get("volumes", [])]
        sources = {re.sub(r":/.*$", "", re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", source)) for source in mounts}
        named = {source for source in sources if not source.startswith(".")}
        assert named == set(MAIN["volumes"])
        assert all((ROOT / source).is_dir() for source in sources - named)

    def test_state_is_on_volumes_and_never_evicted(self):
        redis = SERVICES["redis"]["command"]
        options = dict(zip(redis[1::2], redis[2::2], strict=True))
        assert options["--appendonly"] == "yes"
        assert options["--maxmemory-policy"] == "noeviction"
        assert SERVICES["redis"]["volumes"] == ["redis:/data"]
        logs = SERVICES["kafka"]["environment"]["KAFKA_LOG_DIRS"]
        assert SERVICES["kafka"]["volumes"] == [f"kafka:{logs}"]


class TestKafka:
    KAFKA = SERVICES["kafka"]["environment"]

    def listeners(self, variable: str) -> dict[str, str]:
        return dict(entry.split("://") for entry in self.KAFKA[variable].split(","))

    def test_listeners_fit_each_other(self):
        listens, advertises = self.listeners("KAFKA_LISTENERS"), self.listeners("KAFKA_ADVERTISED_LISTENERS")
        protocols = dict(entry.split(":") for entry in self.KAFKA["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))
        controller = self.KAFKA["KAFKA_CONTROLLER_LISTENER_NAMES"]
        assert set(protocols) == set(listens)
        assert set(advertises) == set(listens) - {controller}
        assert self.KAFKA["KAFKA_INTER_BROKER_LISTENER_NAME"] in advertises
        for name, address in advertises.items():
            assert address.rpartition(":")[2] == listens[name].rpartition(":")[2]
        assert (
            self.KAFKA["KAFKA_CONTROLLER_QUORUM_VOTERS"] == f"{self.KAFKA['KAFKA_NODE_ID']}@kafka{listens[controller]}"
        )

    def test_tools_on_the_host_reach_it_by_the_default_settings(self):
        assert self.listeners("KAFKA_ADVERTISED_LISTENERS")["OUTSIDE"] == DEFAULTS.kafka_bootstrap_servers
        assert SERVICES["kafka"]["ports"] == ["127.0.0.1:9092:9092"]

    def test_one_node_is_enough_for_its_internal_topics(self):
        factors = {value for key, value in self.KAFKA.items() if key.endswith(("REPLICATION_FACTOR", "MIN_ISR"))}
        assert factors == {"1"}
        assert DEFAULTS.topic_replication == 1

    def test_the_cluster_id_is_one_that_kafka_accepts(self):
        assert len(self.KAFKA["CLUSTER_ID"]) == 22
        assert len(base64.urlsafe_b64decode(self.KAFKA["CLUSTER_ID"] + "==")) == 16

    def test_topics_come_from_the_catalogue_only(self):
        assert self.KAFKA["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


class TestComposeExtras:
    @pytest.mark.parametrize("name", ["deploy/compose.gpu.yml", "deploy/compose.scale.yml"])
    def test_extras_change_services_that_exist(self, name):
        assert set(compose(name)["services"]) <= set(SERVICES)

    def test_gpu_uses_a_build_of_its_own_and_settings_that_exist(self):
        worker = compose("deploy/compose.gpu.yml")["services"]["worker"]
        assert settings_from(worker["environment"]).device == "cuda"
        assert worker["image"] != SERVICES["worker"]["image"]
        assert set(worker["build"]["args"]) <= set(dockerfile_args())

    def test_scaled_workers_do_not_fight_for_a_port(self):
        worker = compose("deploy/compose.scale.yml")["services"]["worker"]
        assert "ports" in worker
        assert worker["ports"] is None
        assert 1 < worker["deploy"]["replicas"] <= DEFAULTS.topic_partitions


def dockerfile() -> list[tuple[str, str]]:
    """(instruction, rest), continuation lines joined."""
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    return [
        (line.split(maxsplit=1)[0], line.split(maxsplit=1)[1].strip()) for line in text.splitlines() if line.strip()
    ]


def dockerfile_args() -> dict[str, str]:
    return dict(rest.split("=", 1) for instruction, rest in dockerfile() if instruction == "ARG")


class TestDockerfile:
    def values(self, instruction: str) -> list[str]:
        return [rest for name, rest in dockerfile() if name == instruction]

    def environment(self) -> dict[str, str]:
        return dict(pair.split("=", 1) for rest in self.values("ENV") for pair in shlex.split(rest))

    def test_two_stages_of_the_same_python_that_the_package_supports(self):
        assert self.values("FROM") == ["python:3.12-slim AS build", "python:3.12-slim"]

    def test_torch_is_the_version_that_the_package_pins_and_for_cpus_by_default(self):
        dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
        assert f"torch=={dockerfile_args()['TORCH_VERSION']}" in dependencies
        assert dockerfile_args()["TORCH_INDEX"].endswith("/cpu")

    def test_extras_exist(self):
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
        assert dockerfile_args()["EXTRAS"] in extras

    def test_everything_copied_passes_the_ignore_file(self):
        ignore = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
        assert "*" in ignore
        sources = {part for rest in self.values("COPY") if "--from" not in rest for part in rest.split()[:-1]}
        assert sources == {line[1:] for line in ignore if line.startswith("!")}
        assert {"topics", "models", "workers"} <= sources

    def test_runs_as_a_user_of_no_rights(self):
        (user,) = self.values("USER")
        assert user == "10001:10001"
        assert "--uid 10001" in " ".join(self.values("RUN"))
        names = [name for name, _ in dockerfile()]
        assert not {"RUN", "COPY"} & set(names[names.index("USER") :])

    def test_runs_the_worker_through_the_installed_command(self):
        scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
        assert json.loads(self.values("ENTRYPOINT")[0])[0] in scripts
        assert json.loads(self.values("CMD")[0]) == ["worker"]

    def test_health_check_asks_the_live_page_on_the_port_that_is_set_and_exposed(self):
        (check,) = self.values("HEALTHCHECK")
        command = json.loads(check.partition("CMD ")[2])
        compile(command[2], "healthcheck", "exec")
        assert "/health/live" in command[2]
        assert "WARDSTREAM_WEB_PORT" in command[2]
        settings = settings_from(self.environment())
        assert self.values("EXPOSE") == [str(settings.web_port)]
        assert settings.web_host == "0.0.0.0"


class TestKubernetes:
    DEPLOYMENT = of_kind("Deployment")[0]
    JOB = of_kind("Job")[0]
    PODS = {"worker": DEPLOYMENT["spec"]["template"]["spec"], "topics": JOB["spec"]["template"]["spec"]}
    CONFIG = of_kind("ConfigMap")[0]

    def container(self, name: str) -> dict:
        (container,) = self.PODS[name]["containers"]
        return container

    def test_the_kustomization_names_every_file_but_the_example_secret(self):
        folder = DEPLOY / "kubernetes"
        listed = set(of_kind("Kustomization")[0]["resources"])
        assert listed == {file.name for file in folder.glob("*.yaml")} - {"kustomization.yaml", "secret.example.yaml"}

    def test_images_get_a_version(self):
        (image,) = of_kind("Kustomization")[0]["images"]
        assert re.fullmatch(r"\d+\.\d+\.\d+", image["newTag"])
        assert {self.container(name)["image"] for name in self.PODS} == {image["name"]}

    def test_configuration_is_settings_and_holds_no_secret(self):
        settings = settings_from(self.CONFIG["data"])
        assert settings.web_port == self.container("worker")["ports"][0]["containerPort"]
        assert settings.web_host == "0.0.0.0"
        secret_fields = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
        assert not {f"WARDSTREAM_{name.upper()}" for name in secret_fields} & set(self.CONFIG["data"])

    def test_the_example_secret_holds_all_secrets_and_fits_the_settings(self):
        example = of_kind("Secret")[0]["stringData"]
        settings_from(example)
        secret_fields = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
        assert {f"WARDSTREAM_{name.upper()}" for name in secret_fields} <= set(example)

    @pytest.mark.parametrize("name", PODS)
    def test_references_lead_somewhere(self, name):
        pod, container = self.PODS[name], self.container(name)
        secrets = {secret["metadata"]["name"]: set(secret["stringData"]) for secret in of_kind("Secret")}
        for source in container["envFrom"]:
            assert source in [
                {"configMapRef": {"name": self.CONFIG["metadata"]["name"]}},
                {"secretRef": {"name": "wardstream"}},
            ]
        assert "wardstream" in secrets
        assert pod["serviceAccountName"] == of_kind("ServiceAccount")[0]["metadata"]["name"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert set(volumes) == set(mounts)
        assert mounts["tmp"] == "/tmp"
        authority = settings_from(self.CONFIG["data"]).kafka_ssl_cafile
        assert str(authority.parent) == mounts["kafka-ca"]
        assert authority.name in secrets[volumes["kafka-ca"]["secret"]["secretName"]]

    @pytest.mark.parametrize("name", PODS)
    def test_pods_have_no_more_rights_than_they_need(self, name):
        pod, container = self.PODS[name], self.container(name)
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
        assert container["args"][0] in COMMANDS

    def test_probes_ask_the_pages_they_are_meant_to(self):
        worker = self.container("worker")
        ports = {port["name"] for port in worker["ports"]}
        asked = {name: worker[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
        assert {name: get["path"] for name, get in asked.items()} == {
            "startup": "/health/live",
            "liveness": "/health/live",
            "readiness": "/health/ready",
        }
        assert all(get["port"] in ports for get in asked.values())
        startup = worker["startupProbe"]
        assert startup["periodSeconds"] * startup["failureThreshold"] >= 120

    def test_there_is_time_to_drain_before_the_kill(self):
        drain_s = settings_from(self.CONFIG["data"]).drain_s
        assert self.PODS["worker"]["terminationGracePeriodSeconds"] >= 2 * drain_s

    def test_selectors_find_the_workers_and_not_the_job(self):
        labels = self.DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
        selectors = [
            self.DEPLOYMENT["spec"]["selector"]["matchLabels"],
            of_kind("PodDisruptionBudget")[0]["spec"]["selector"]["matchLabels"],
            of_kind("Service")[0]["spec"]["selector"],
            self.PODS["worker"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
        ]
        for selector in selectors:
            assert selector.items() <= labels.items()
            assert not selector.items() <= self.JOB["spec"]["template"]["metadata"]["labels"].items()

    def test_one_worker_at_a_time_goes_away_and_all_have_partitions(self):
        assert of_kind("PodDisruptionBudget")[0]["spec"]["maxUnavailable"] == 1
        assert self.DEPLOYMENT["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
        assert 1 < self.DEPLOYMENT["spec"]["replicas"] <= settings_from(self.CONFIG["data"]).topic_partitions

    def test_scraping_goes_to_the_port_of_the_worker(self):
        port = str(self.container("worker")["ports"][0]["containerPort"])
        assert self.DEPLOYMENT["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"] == port
        assert str(of_kind("Service")[0]["spec"]["ports"][0]["port"]) == port


def expressions() -> list[tuple[str, str]]:
    """(where, PromQL) of the dashboard and the alert rules."""
    dashboard = json.loads((DEPLOY / "grafana/dashboards/wardstream.json").read_text("utf-8"))
    found = [(panel["title"], query["expr"]) for panel in dashboard["panels"] for query in panel.get("targets", [])]
    rules = yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text("utf-8"))
    return found + [(rule["alert"], rule["expr"]) for group in rules["groups"] for rule in group["rules"]]


class TestObservability:
    DASHBOARD = json.loads((DEPLOY / "grafana/dashboards/wardstream.json").read_text("utf-8"))

    @pytest.mark.parametrize(("where", "expression"), expressions())
    def test_queries_use_metrics_and_labels_that_exist(self, where, expression):
        names = set(re.findall(r"\bwardstream_\w+", expression))
        metrics = {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}
        assert metrics <= set(METRICS), where
        allowed = set().union(SCRAPE_LABELS, *(METRICS[metric] for metric in metrics))
        used = {label.strip() for by in re.findall(r"by \(([^)]*)\)", expression) for label in by.split(",")}
        used |= set(re.findall(r"[{,]\s*(\w+)=", expression))
        assert used <= allowed, where
        assert expression.count("(") == expression.count(")")

    def test_counters_are_read_as_rates_and_gauges_are_not(self):
        for where, expression in expressions():
            for name in re.findall(r"\bwardstream_\w+", expression):
                counts = name.endswith(("_total", "_bucket", "_sum", "_count"))
                rated = re.search(rf"(rate|increase)\({name}\b", expression) is not None
                assert counts == rated, where

    def test_every_metric_is_on_the_dashboard(self):
        shown = " ".join(query["expr"] for panel in self.DASHBOARD["panels"] for query in panel.get("targets", []))
        assert len(METRICS) > 30
        assert [name for name in METRICS if not re.search(rf"\b{name}(_bucket|_sum|_count)?\b", shown)] == []

    def test_legends_name_labels_that_the_query_keeps(self):
        for panel in self.DASHBOARD["panels"]:
            for query in panel.get("targets", []):
                named = set(re.findall(r"{{(\w+)}}", query["legendFormat"]))
                kept = {label for by in re.findall(r"by \(([^)]*)\)", query["expr"]) for label in by.split(", ")}
                assert named <= (kept or {"instance", "job"}), panel["title"]

    def test_panels_have_a_place_of_their_own(self):
        taken: set[tuple[int, int]] = set()
        for panel in self.DASHBOARD["panels"]:
            place = panel["gridPos"]
            cells = {(place["x"] + i, place["y"] + j) for i in range(place["w"]) for j in range(place["h"])}
            assert place["x"] + place["w"] <= 24
            assert not cells & taken
            taken |= cells
        assert len({panel["id"] for panel in self.DASHBOARD["panels"]}) == len(self.DASHBOARD["panels"])

    def test_grafana_reads_the_prometheus_of_the_compose_file(self):
        (source,) = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text("utf-8"))[
            "datasources"
        ]
        assert source["url"] == "http://prometheus:9090"
        used = {panel["datasource"]["uid"] for panel in self.DASHBOARD["panels"] if "datasource" in panel}
        assert used == {source["uid"]}
        (provider,) = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/wardstream.yml").read_text("utf-8"))[
            "providers"
        ]
        mounted = [mount.split(":")[1] for mount in SERVICES["grafana"]["volumes"]]
        assert provider["options"]["path"] in mounted
        home = Path(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
        assert (DEPLOY / "grafana/dashboards" / home.name).is_file()

    def test_prometheus_asks_every_worker_and_loads_the_rules(self):
        config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text("utf-8"))
        (job,) = config["scrape_configs"]
        (target,) = job["dns_sd_configs"]
        assert set(target["names"]) <= set(SERVICES)
        assert target["port"] == settings_from(SERVICES["worker"]["environment"]).web_port
        assert all((DEPLOY / "prometheus" / name).is_file() for name in config["rule_files"])
        assert 'up{job="wardstream"}' in dict(expressions())["WardstreamDown"]
        assert job["job_name"] == "wardstream"


class TestPage:
    PAGE = (ROOT / "docs/deploy.md").read_text("utf-8")

    def test_names_only_files_services_profiles_and_settings_that_exist(self):
        for path in re.findall(r"(?<![\w/])((?:deploy|docs)/[\w./-]*\w)", self.PAGE):
            assert (ROOT / path).exists() or path == "docs/settings.md", path
        for service in re.findall(r"docker compose (?:exec|logs|stop|start|restart) (?:-\S+ )*(\w+)", self.PAGE):
            assert service in SERVICES
        for profile in re.findall(r"--profile (\w+)", self.PAGE):
            assert any(profile in service.get("profiles", []) for service in SERVICES.values())
        names = set(re.findall(r"\bWARDSTREAM_[A-Z_]*[A-Z]\b", self.PAGE)) - {"WARDSTREAM_IMAGES"}  # compose's own
        assert names <= {f"WARDSTREAM_{field.upper()}" for field in Settings.model_fields}

    def test_commands_of_wardstream_exist(self):
        for command in re.findall(r"(?:^|worker )wardstream ([a-z-]+)", self.PAGE, flags=re.MULTILINE):
            assert command in COMMANDS
