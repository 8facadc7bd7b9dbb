#include "server/metrics/process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace holdfast::metrics {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

std::string ReadFile(const char* path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

MetricFamily Family(const char* name, const char* help, MetricType type, double value) {
  MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = type;
  prometheus::ClientMetric metric;
  if (type == MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  family.metric.push_back(metric);
  return family;
}

// /proc/self/stat, from the third field on: the second is the program's name, in parentheses that
// it may itself contain.
std::vector<std::string> StatFields() {
  const std::string text = ReadFile("/proc/self/stat");
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return {};
  return absl::StrSplit(absl::string_view(text).substr(name_end + 1), ' ', absl::SkipEmpty());
}

std::optional<double> Field(const std::vector<std::string>& fields, size_t number_in_manual) {
  const size_t index = number_in_manual - 3;
  double value = 0;
  if (index >= fields.size() || !absl::SimpleAtod(fields[index], &value)) return std::nullopt;
  return value;
}

// When the machine started, in seconds since 1970.
std::optional<double> BootTime() {
  const std::string text = ReadFile("/proc/stat");
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    double value = 0;
    if (absl::ConsumePrefix(&line, "btime ") && absl::SimpleAtod(line, &value)) return value;
  }
  return std::nullopt;
}

void CollectStat(std::vector<MetricFamily>* families) {
  const std::vector<std::string> fields = StatFields();
  const auto ticks_per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  const auto user = Field(fields, 14);
  const auto system = Field(fields, 15);
  if (user && system) {
    families->push_back(Family("process_cpu_seconds_total",
                               "CPU time used, user and system, in seconds. Worrying: near the "
                               "container's limit for long.",
                               MetricType::Counter, (*user + *system) / ticks_per_second));
  }
  const auto started = Field(fields, 22);
  const auto boot = BootTime();
  if (started && boot) {
    families->push_back(Family("process_start_time_seconds",
                               "When the process started, in seconds since 1970. Worrying: changes "
                               "that nobody asked for.",
                               MetricType::Gauge, *boot + *started / ticks_per_second));
  }
  if (const auto bytes = Field(fields, 23)) {
    families->push_back(Family("process_virtual_memory_bytes",
                               "Virtual memory, in bytes. Worrying: never by itself.",
                               MetricType::Gauge, *bytes));
  }
  if (const auto pages = Field(fields, 24)) {
    families->push_back(Family("process_resident_memory_bytes",
                               "Resident memory, in bytes. Worrying: growth that lasts, or near "
                               "the container's limit.",
                               MetricType::Gauge,
                               *pages * static_cast<double>(sysconf(_SC_PAGESIZE))));
  }
}

void CollectFiles(std::vector<MetricFamily>* families) {
  std::error_code error;
  const std::filesystem::directory_iterator open_files("/proc/self/fd", error);
  if (!error) {
    families->push_back(
        Family("process_open_fds", "Open file descriptors. Worrying: near process_max_fds.",
               MetricType::Gauge, static_cast<double>(std::distance(begin(open_files), {}))));
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    families->push_back(Family("process_max_fds",
                               "The most file descriptors that may be open. Worrying: fewer than "
                               "three times HOLDFAST_CONNECTIONS_MAX.",
                               MetricType::Gauge, static_cast<double>(limit.rlim_cur)));
  }
}

}  // namespace

std::vector<MetricFamily> CollectProcess() {
  std::vector<MetricFamily> families;
  CollectStat(&families);
  CollectFiles(&families);
  return families;
}

}  // namespace holdfast::metrics
