// Times one way of bringing events into the database and prints it as a line of JSON.
//
//   holdfast-bench --how=in-process --kind=usage --events=500000 --socket=/path/to/mysql.sock

#include <cstdio>
#include <string>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_format.h"

#include "tests/bench/rivals.h"
#include "tests/bench/workload.h"

ABSL_FLAG(std::string, how, "", "bare-bulk, load-data, in-process or end-to-end");
ABSL_FLAG(std::string, kind, "usage", "usage or message");
ABSL_FLAG(uint64_t, first, 0,
          "the number of the first event: runs with disjoint numbers share no id");
ABSL_FLAG(uint64_t, events, 200000, "how many");
ABSL_FLAG(uint64_t, keys, 1000, "API keys or conversations");
ABSL_FLAG(int, connections, 2, "connections at a time; end-to-end has those of the daemon");
ABSL_FLAG(uint64_t, rows, 4096, "rows of a transaction");
ABSL_FLAG(std::string, socket, "", "the database server's socket");
ABSL_FLAG(std::string, database, "holdfast", "the database");
ABSL_FLAG(std::string, user, "root", "the account, without a password");
ABSL_FLAG(std::string, target, "", "where the daemon listens, for end-to-end");

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  holdfast::bench::Setting setting;
  setting.database.endpoints = {{.host = "", .port = 0, .socket = absl::GetFlag(FLAGS_socket)}};
  setting.database.database = absl::GetFlag(FLAGS_database);
  setting.database.user = absl::GetFlag(FLAGS_user);
  setting.connections = absl::GetFlag(FLAGS_connections);
  setting.rows = absl::GetFlag(FLAGS_rows);
  setting.target = absl::GetFlag(FLAGS_target);
  const auto kind = absl::GetFlag(FLAGS_kind) == "message" ? holdfast::event::Kind::kMessage
                                                           : holdfast::event::Kind::kUsage;
  const auto events = holdfast::bench::MakeEvents(
      kind, absl::GetFlag(FLAGS_first), absl::GetFlag(FLAGS_events), absl::GetFlag(FLAGS_keys));

  const std::string how = absl::GetFlag(FLAGS_how);
  absl::StatusOr<absl::Duration> taken =
      absl::InvalidArgumentError("--how must be bare-bulk, load-data, in-process or end-to-end");
  if (how == "bare-bulk") taken = holdfast::bench::BareBulk(setting, events);
  if (how == "load-data") taken = holdfast::bench::LoadData(setting, events);
  if (how == "in-process") taken = holdfast::bench::InProcess(setting, events);
  if (how == "end-to-end") taken = holdfast::bench::EndToEnd(setting, events);
  if (!taken.ok()) {
    std::fprintf(stderr, "holdfast-bench: %s\n", taken.status().ToString().c_str());
    return 1;
  }
  const double seconds = absl::ToDoubleSeconds(*taken);
  absl::PrintF(
      "{\"how\": \"%s\", \"kind\": \"%s\", \"events\": %d, \"seconds\": %.3f, "
      "\"events_per_second\": %.0f}\n",
      how, absl::GetFlag(FLAGS_kind), events.size(), seconds,
      static_cast<double>(events.size()) / seconds);
  return 0;
}
