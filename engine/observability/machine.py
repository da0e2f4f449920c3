"""What the machine under this process does, others on it included."""

from __future__ import annotations

from collections.abc import Iterable

import psutil
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class MachineCollector(Collector):
    """Processor time, cores and memory; in a container those of its host."""

    def collect(self) -> Iterable[Metric]:
        """Some microseconds; asks the kernel."""
        times = psutil.cpu_times()
        waiting = times.idle + getattr(times, "iowait", 0.0)
        # Linux counts a guest's time within `user`, too.
        twice = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
        memory = psutil.virtual_memory()
        held = GaugeMetricFamily("dossier_machine_memory_bytes", "Memory of the machine.", labels=["state"])
        held.add_metric(["total"], memory.total)
        held.add_metric(["available"], memory.available)
        return [
            CounterMetricFamily(
                "dossier_machine_cpu_seconds",
                "Processor time that the machine spent on anything.",
                value=sum(times) - waiting - twice,
            ),
            GaugeMetricFamily("dossier_machine_cores", "Cores.", value=psutil.cpu_count() or 1),
            held,
        ]
