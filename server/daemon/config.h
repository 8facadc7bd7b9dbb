// The daemon's configuration: flag over environment over default, one table for all settings
// (settings.cc). Nothing that is not understood is passed over in silence.

#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "server/admin/http_server.h"
#include "server/base/log.h"
#include "server/ingress/server.h"
#include "server/inspect/request.h"
#include "server/journal/journal.h"
#include "server/mysql/pool.h"
#include "server/pipeline/pipeline.h"

namespace holdfast::daemon {

// The options of the rooms, as the settings make them.
struct Config {
  ingress::ServerOptions server;
  admin::HttpOptions http;
  std::string journal_dir;
  journal::JournalOptions journal;
  mysql::DatabaseOptions database;
  pipeline::PipelineOptions pipeline;  // writer_id empty: the journal's id. journal_id is not set.
  absl::Duration drain_timeout;
  base::LogLevel log_level = base::LogLevel::kInfo;
  std::optional<base::LogFormat> log_format;  // nullopt: what suits where it goes.
  bool allow_core_dumps = false;

  // Settings that only exist to be put together with others, once all are read.
  std::vector<mysql::Endpoint> hosts;
  int port = 0;
  std::string socket;
  bool ack_when_journaled = true;
  bool debug = false;
};

// What the command line asks for.
enum class Command { kServe, kCheckConfig, kMigrate, kDiagnose, kInspectJournal, kHelp, kVersion };

enum class Source { kDefault, kEnvironment, kFlag };

struct Setting;

// A setting as it came out.
struct Effective {
  const Setting* setting = nullptr;  // Lives for the whole process.
  std::string value;
  Source source = Source::kDefault;
};

struct Reading {
  Command command = Command::kServe;
  inspect::Request inspection;  // For kInspectJournal.
  Config config;
  std::vector<Effective> effective;   // In the order of the table.
  std::vector<std::string> warnings;  // A sentence each.
};

using Environment = std::map<std::string, std::string>;

// Reads the flags (without the program's name) and the environment. An environment variable that is
// empty counts as not set. Errors, all that are found, a line each:
//   NotFound: a flag or argument that does not exist.
//   InvalidArgument: a value that cannot be, or a variable of our prefixes that does not exist.
absl::StatusOr<Reading> ReadConfig(const std::vector<std::string>& flags,
                                   const Environment& environment);

// This process's environment.
Environment ProcessEnvironment();

// Every setting with its value and where it comes from; secrets are masked.
std::string DescribeSettings(const Reading& reading);

// For --help.
std::string HelpText();

}  // namespace holdfast::daemon
