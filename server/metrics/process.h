// What the system says of this process, under the names that every Prometheus client uses.

#pragma once

#include <prometheus/metric_family.h>

#include <vector>

namespace holdfast::metrics {

// CPU time, memory, files and start time, as they are now. What cannot be read is left out: a wrong
// figure would be worse than none. Thread-safe.
std::vector<prometheus::MetricFamily> CollectProcess();

}  // namespace holdfast::metrics
