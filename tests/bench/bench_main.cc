// Times one way of bringing events into the database and prints it as a line of JSON.
//
//   holdfast-bench --how=in-process --kind=usage --events=500000 --socket=/path/to/mysql.sock

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <string>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_split.h"

#include "server/base/status_macros.h"
#include "tests/bench/client_cost.h"
#include "tests/bench/gateways.h"
#include "tests/bench/latency.h"
#include "tests/bench/rivals.h"
#include "tests/bench/workload.h"

#include "nlohmann/json.hpp"

ABSL_FLAG(std::string, how, "",
          "bare-bulk, load-data, autocommit, in-process, syslog, end-to-end, feed, ack, "
          "sync-and-call, transaction, client-latency, client-batching or serve-nothing");
ABSL_FLAG(std::string, kind, "usage", "usage or message");
ABSL_FLAG(uint64_t, first, 0,
          "the number of the first event: runs with disjoint numbers share no id");
ABSL_FLAG(uint64_t, events, 200000, "how many");
ABSL_FLAG(uint64_t, keys, 1000, "API keys or conversations");
ABSL_FLAG(int, connections, 2, "connections at a time; end-to-end has those of the daemon");
ABSL_FLAG(uint64_t, rows, 4096, "rows of a transaction");
ABSL_FLAG(uint64_t, threads, 8, "threads that share one client, for client-batching");
ABSL_FLAG(double, rate, 0, "events a second; 0 is as many as are taken");
ABSL_FLAG(std::string, ack, "committed", "journaled or committed: what is waited for");
ABSL_FLAG(std::string, socket, "", "the database server's socket");
ABSL_FLAG(std::string, database, "holdfast", "the database");
ABSL_FLAG(std::string, user, "root", "the account, without a password");
ABSL_FLAG(std::string, target, "", "where the daemons listen, separated by commas");
ABSL_FLAG(std::string, folder, "/tmp", "for files, on the journal's disk");

namespace holdfast::bench {
namespace {

using Json = nlohmann::json;

Setting ReadSetting() {
  Setting setting;
  setting.database.endpoints = {{.host = "", .port = 0, .socket = absl::GetFlag(FLAGS_socket)}};
  setting.database.database = absl::GetFlag(FLAGS_database);
  setting.database.user = absl::GetFlag(FLAGS_user);
  setting.connections = absl::GetFlag(FLAGS_connections);
  setting.rows = absl::GetFlag(FLAGS_rows);
  setting.targets = absl::StrSplit(absl::GetFlag(FLAGS_target), ',', absl::SkipEmpty());
  setting.ack_level =
      absl::GetFlag(FLAGS_ack) == "journaled" ? v1::ACK_LEVEL_JOURNALED : v1::ACK_LEVEL_COMMITTED;
  setting.rate = absl::GetFlag(FLAGS_rate);
  setting.folder = absl::GetFlag(FLAGS_folder);
  return setting;
}

Json Throughput(size_t events, absl::Duration taken) {
  const double seconds = absl::ToDoubleSeconds(taken);
  return {{"seconds", seconds}, {"events_per_second", static_cast<double>(events) / seconds}};
}

// Quantiles in microseconds, and a histogram whose buckets grow by a tenth: [upper bound, samples].
Json Summary(std::vector<absl::Duration> samples) {
  std::sort(samples.begin(), samples.end());
  const auto at = [&samples](double part) {
    const auto index = static_cast<size_t>(part * static_cast<double>(samples.size() - 1));
    return absl::ToDoubleMicroseconds(samples[index]);
  };
  std::map<int, int> buckets;
  for (const absl::Duration sample : samples) {
    const double microseconds = std::max(1.0, absl::ToDoubleMicroseconds(sample));
    ++buckets[static_cast<int>(std::ceil(std::log(microseconds) / std::log(1.1)))];
  }
  Json histogram = Json::array();
  for (const auto& [bucket, count] : buckets) {
    histogram.push_back({std::round(std::pow(1.1, bucket) * 10) / 10, count});
  }
  return {{"samples", samples.size()}, {"p50", at(0.5)}, {"p90", at(0.9)},
          {"p99", at(0.99)},           {"max", at(1.0)}, {"histogram", std::move(histogram)}};
}

Json ToJson(const Expectation& expected) {
  return {{"rows", expected.rows},
          {"checksum", expected.checksum},
          {"input_tokens", expected.input_tokens},
          {"output_tokens", expected.output_tokens},
          {"cache_read_tokens", expected.cache_read_tokens},
          {"cost_micros", expected.cost_micros},
          {"real_cost_micros", expected.real_cost_micros}};
}

// How the event's outcomes are measured, by name.
using Timed = absl::StatusOr<absl::Duration> (*)(const Setting&, const std::vector<v1::Event>&);
constexpr std::pair<const char*, Timed> kThroughputs[] = {
    {"bare-bulk", BareBulk},   {"load-data", LoadData}, {"autocommit", Autocommit},
    {"in-process", InProcess}, {"syslog", Syslog},      {"end-to-end", EndToEnd}};
using Sampled = absl::StatusOr<std::vector<absl::Duration>> (*)(const Setting&,
                                                                const std::vector<v1::Event>&);
constexpr std::pair<const char*, Sampled> kLatencies[] = {
    {"ack", AckLatency}, {"transaction", TransactionLatency}, {"client-latency", ClientLatency}};

absl::StatusOr<Json> Measure(const std::string& how, const Setting& setting,
                             const std::vector<v1::Event>& events) {
  for (const auto& [name, timed] : kThroughputs) {
    if (how != name) continue;
    HOLDFAST_ASSIGN_OR_RETURN(const absl::Duration taken, timed(setting, events));
    return Throughput(events.size(), taken);
  }
  for (const auto& [name, sampled] : kLatencies) {
    if (how != name) continue;
    HOLDFAST_ASSIGN_OR_RETURN(auto samples, sampled(setting, events));
    return Json{{"microseconds", Summary(std::move(samples))}};
  }
  if (how == "client-batching") {
    HOLDFAST_ASSIGN_OR_RETURN(const Batching batching,
                              ClientBatching(setting, absl::GetFlag(FLAGS_threads), events));
    Json json = Throughput(events.size(), batching.taken);
    json["cpu_seconds"] = absl::ToDoubleSeconds(batching.cpu);
    return json;
  }
  return absl::InvalidArgumentError("--how must be one of those that --help names");
}

absl::StatusOr<Json> Run(const std::string& how) {
  const Setting setting = ReadSetting();
  const event::Kind kind =
      absl::GetFlag(FLAGS_kind) == "message" ? event::Kind::kMessage : event::Kind::kUsage;
  const uint64_t first = absl::GetFlag(FLAGS_first);
  const uint64_t count = absl::GetFlag(FLAGS_events);
  const uint64_t keys = absl::GetFlag(FLAGS_keys);
  if (how == "serve-nothing") {
    HOLDFAST_RETURN_IF_ERROR(ServeNothing(setting));
    return Json::object();
  }
  if (how == "sync-and-call") {
    HOLDFAST_ASSIGN_OR_RETURN(SyncAndCall samples, SyncAndCallLatency(setting, count));
    return Json{{"sync", Summary(std::move(samples.sync))},
                {"call", Summary(std::move(samples.call))},
                {"both", Summary(std::move(samples.both))}};
  }
  Expectation expected;
  Json json;
  if (how == "feed") {
    HOLDFAST_ASSIGN_OR_RETURN(const absl::Duration taken,
                              Feed(setting, kind, first, count, keys, &expected));
    json = Throughput(count, taken);
  } else {
    const auto events = MakeEvents(kind, first, count, keys);
    HOLDFAST_ASSIGN_OR_RETURN(json, Measure(how, setting, events));
    AddTo(&expected, events);
  }
  json["events"] = count;
  json["expected"] = ToJson(expected);
  return json;
}

}  // namespace
}  // namespace holdfast::bench

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  const std::string how = absl::GetFlag(FLAGS_how);
  absl::StatusOr<nlohmann::json> measured = holdfast::bench::Run(how);
  if (!measured.ok()) {
    std::fprintf(stderr, "holdfast-bench: %s\n", measured.status().ToString().c_str());
    return 1;
  }
  (*measured)["how"] = how;
  (*measured)["kind"] = absl::GetFlag(FLAGS_kind);
  std::puts(measured->dump().c_str());
  return 0;
}
