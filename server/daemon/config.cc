#include "server/daemon/config.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

#include "server/daemon/settings.h"
#include "server/daemon/spelling.h"

namespace holdfast::daemon {
namespace {

// Variables with these beginnings are ours: one that is not in the table is a mistake.
constexpr std::array<absl::string_view, 3> kOurPrefixes = {"HOLDFAST_", "DB_", "RATE_LIMIT_MYSQL_"};

// File descriptors beside those of connections, to gateways and to the database.
constexpr int kFilesReserved = 96;

// What the command line came to.
struct Flags {
  Command command = Command::kServe;
  std::map<std::string, std::string> values;  // By the setting's name.
  inspect::Request inspection;
  std::vector<std::string> problems;
};

std::optional<Command> CommandOf(absl::string_view flag) {
  if (flag == "check_config") return Command::kCheckConfig;
  if (flag == "migrate") return Command::kMigrate;
  if (flag == "diagnose") return Command::kDiagnose;
  if (flag == "inspect_journal") return Command::kInspectJournal;
  if (flag == "help") return Command::kHelp;
  if (flag == "version") return Command::kVersion;
  return std::nullopt;
}

std::string FlagOf(const Setting& setting) { return absl::AsciiStrToLower(setting.name); }

std::string UnknownFlag(absl::string_view flag) {
  std::vector<std::string> known = {"check_config",    "migrate", "diagnose",
                                    "inspect_journal", "help",    "version"};
  for (const Setting& setting : Settings()) known.push_back(FlagOf(setting));
  const std::string nearest = NearestOf(flag, known);
  return absl::StrCat(
      "--", flag, ": there is no such flag",
      nearest.empty() ? "; see --help" : absl::StrCat("; did you mean --", nearest, "?"));
}

// "--inspect_journal=ls", and its own flags, which stand behind "--".
void ReadInspection(absl::string_view what, const std::vector<std::string>& arguments,
                    Flags* flags) {
  const auto dashes = std::find(arguments.begin(), arguments.end(), "--");
  const std::vector<std::string> own(dashes == arguments.end() ? dashes : dashes + 1,
                                     arguments.end());
  absl::StatusOr<inspect::Request> request = inspect::ParseRequest(what, own);
  if (!request.ok()) {
    flags->problems.emplace_back(request.status().message());
    return;
  }
  flags->inspection = *std::move(request);
}

Flags ReadFlags(const std::vector<std::string>& arguments) {
  Flags flags;
  for (size_t i = 0; i < arguments.size(); ++i) {
    absl::string_view text = arguments[i];
    if (text == "--" && flags.command == Command::kInspectJournal) break;
    if (!absl::ConsumePrefix(&text, "--") || text.empty()) {
      flags.problems.push_back(absl::StrCat("\"", arguments[i], "\": expected a flag; see --help"));
      continue;
    }
    const size_t equals = text.find('=');
    const std::string name(text.substr(0, equals));
    const bool has_value = equals != absl::string_view::npos;
    if (const std::optional<Command> command = CommandOf(name); command.has_value()) {
      const bool inspects = *command == Command::kInspectJournal;
      if (has_value != inspects || flags.command != Command::kServe) {
        flags.problems.push_back(absl::StrCat("--", name,
                                              inspects ? ": takes a value" : ": takes no value",
                                              " and stands alone among the commands"));
      } else if (inspects) {
        ReadInspection(text.substr(equals + 1), arguments, &flags);
      }
      flags.command = *command;
      continue;
    }
    const Setting* setting = FindSetting(absl::AsciiStrToUpper(name));
    if (setting == nullptr || name != FlagOf(*setting)) {
      flags.problems.push_back(UnknownFlag(name));
      continue;
    }
    std::string value = "true";
    if (has_value) {
      value = std::string(text.substr(equals + 1));
    } else if (!setting->is_switch) {
      if (i + 1 == arguments.size()) {
        flags.problems.push_back(absl::StrCat("--", name, ": needs a value"));
        continue;
      }
      value = arguments[++i];
    }
    if (!flags.values.emplace(setting->name, std::move(value)).second) {
      flags.problems.push_back(absl::StrCat("--", name, ": is given twice"));
    }
  }
  return flags;
}

// Kubernetes tells every container of every Service in its namespace by variables such as
// DB_SERVICE_HOST and DB_PORT_3306_TCP_ADDR: not meant for us, whatever they are called.
bool IsServiceLink(absl::string_view name, absl::string_view value) {
  return absl::EndsWith(name, "_SERVICE_HOST") || absl::StrContains(name, "_SERVICE_PORT") ||
         absl::StartsWith(value, "tcp://") || absl::StartsWith(value, "udp://") ||
         absl::StrContains(name, "_TCP") || absl::StrContains(name, "_UDP");
}

// Of `holdfast`, which runs in a daemon's environment as a probe or a hook.
constexpr std::array<absl::string_view, 4> kToolVariables = {
    "HOLDFAST_TLS_CA_FILE", "HOLDFAST_TLS_CLIENT_CERT_FILE", "HOLDFAST_TLS_CLIENT_KEY_FILE",
    "HOLDFAST_TLS_SERVER_NAME"};

// Looks for variables that are meant for us and are not in the table.
void CheckEnvironment(const Environment& environment, std::vector<std::string>* problems,
                      std::vector<std::string>* warnings) {
  std::vector<std::string> known;
  for (const Setting& setting : Settings()) known.emplace_back(setting.name);
  for (const auto& [name, value] : environment) {
    if (FindSetting(name) != nullptr) continue;
    if (std::count(kToolVariables.begin(), kToolVariables.end(), name) > 0) continue;
    const bool ours = std::any_of(
        kOurPrefixes.begin(), kOurPrefixes.end(),
        [&name = name](absl::string_view prefix) { return absl::StartsWith(name, prefix); });
    if (!ours && !absl::StartsWith(name, "MYSQL_")) continue;
    const std::string nearest = NearestOf(name, known);
    const std::string text = absl::StrCat(
        name, ": there is no such setting",
        nearest.empty() ? "; see --help" : absl::StrCat("; did you mean ", nearest, "?"));
    // Other software has variables that begin with MYSQL_, too.
    const bool is_error = ours && !IsServiceLink(name, value);
    (is_error ? problems : warnings)->push_back(text);
  }
}

Effective ValueOf(const Setting& setting, const Flags& flags, const Environment& environment) {
  const std::string name(setting.name);
  if (const auto flag = flags.values.find(name); flag != flags.values.end()) {
    return {&setting, flag->second, Source::kFlag};
  }
  if (const auto variable = environment.find(name);
      variable != environment.end() && !variable->second.empty()) {
    return {&setting, variable->second, Source::kEnvironment};
  }
  return {&setting, std::string(setting.fallback), Source::kDefault};
}

std::string BadValue(const Effective& effective, const absl::Status& status) {
  const Setting& setting = *effective.setting;
  std::string text = absl::StrCat(setting.name, ": ");
  if (setting.is_secret) {
    absl::StrAppend(&text, "the secret value");
  } else {
    absl::StrAppend(&text, "\"", effective.value, "\"");
  }
  absl::StrAppend(&text, effective.source == Source::kFlag ? " (flag)" : " (environment)",
                  " will not do: ", status.message());
  if (absl::StartsWith(effective.value, "tcp://")) {
    absl::StrAppend(&text,
                    "; Kubernetes sets it for a Service of that name: give the pod "
                    "enableServiceLinks: false, or set the flag");
  }
  return text;
}

// The setting behind the first field of an options struct that `message` names, for errors between
// settings; of the journal's if it could be one of several.
std::string SettingOf(absl::string_view message) {
  for (const absl::string_view word : absl::StrSplit(message, absl::ByAnyChar(": "))) {
    if (word == "bytes_max") return "HOLDFAST_JOURNAL_MAX_BYTES";
    for (const absl::string_view prefix :
         {"DB_", "MYSQL_", "DB_BREAKER_", "HOLDFAST_JOURNAL_", "HOLDFAST_"}) {
      const std::string name = absl::StrCat(prefix, absl::AsciiStrToUpper(word));
      if (FindSetting(name) != nullptr) return name;
    }
  }
  return "settings together";
}

// Puts together what takes more than one setting.
void Combine(const std::vector<Effective>& effective, Config& config) {
  const auto is_given = [&effective](absl::string_view name) {
    return std::any_of(effective.begin(), effective.end(), [name](const Effective& one) {
      return one.setting->name == name && one.source != Source::kDefault;
    });
  };
  if (!config.socket.empty()) config.database.endpoints.push_back({"", 0, config.socket});
  if (config.socket.empty() || is_given("MYSQL_HOST")) {
    for (mysql::Endpoint host : config.hosts) {
      if (host.port == 0) host.port = config.port;
      config.database.endpoints.push_back(std::move(host));
    }
  }
  config.server.ingest.default_ack_level =
      config.ack_when_journaled ? v1::ACK_LEVEL_JOURNALED : v1::ACK_LEVEL_COMMITTED;
  if (config.debug && !is_given("LOG_LEVEL")) config.log_level = base::LogLevel::kDebug;
  // Beside connections: the pool, the admin port, the journal and what the process has anyway.
  config.server.gate.admission.files_reserved =
      kFilesReserved + config.database.pool_size + config.database.max_overflow;
  // So many that orderly refusals come first: what is beyond is closed without a word.
  const ingress::CallLimits& calls = config.server.ingest.calls;
  config.server.gate.admission.conduct.streams_max =
      2 * (calls.streams_max + calls.writes_max) + 1024;
  // The writer waits for a connection as long as the pool lets it.
  config.pipeline.writer.rent_timeout = config.database.pool_timeout;
}

// What the rooms say to values that are each right alone.
void CheckTogether(const Config& config, std::vector<std::string>* problems) {
  pipeline::PipelineOptions pipeline = config.pipeline;
  // Both come from the journal when it is open.
  if (pipeline.writer.writer_id.empty()) pipeline.writer.writer_id = "journal";
  pipeline.writer.journal_id = event::RandomUuid();
  for (const absl::Status& status : {config.server.gate.Validate(), config.journal.Validate(),
                                     config.database.Validate(), pipeline.Validate()}) {
    if (status.ok()) continue;
    problems->push_back(absl::StrCat(SettingOf(status.message()), ": ", status.message()));
  }
}

}  // namespace

absl::StatusOr<Reading> ReadConfig(const std::vector<std::string>& flags,
                                   const Environment& environment) {
  const Flags read = ReadFlags(flags);
  if (!read.problems.empty()) return absl::NotFoundError(absl::StrJoin(read.problems, "\n"));
  Reading reading;
  reading.command = read.command;
  reading.inspection = read.inspection;

  std::vector<std::string> problems;
  CheckEnvironment(environment, &problems, &reading.warnings);
  for (const Setting& setting : Settings()) {
    Effective effective = ValueOf(setting, read, environment);
    const absl::Status applied = setting.apply(effective.value, reading.config);
    if (!applied.ok()) problems.push_back(BadValue(effective, applied));
    if (setting.is_secret && effective.source == Source::kFlag) {
      reading.warnings.push_back(absl::StrCat(
          setting.name, ": everyone on this machine can see a flag; use the file instead"));
    }
    reading.effective.push_back(std::move(effective));
  }
  if (problems.empty()) {
    Combine(reading.effective, reading.config);
    CheckTogether(reading.config, &problems);
  }
  const bool needs_config = read.command != Command::kHelp && read.command != Command::kVersion;
  if (!problems.empty() && needs_config) {
    return absl::InvalidArgumentError(absl::StrJoin(problems, "\n"));
  }
  return reading;
}

Environment ProcessEnvironment() {
  Environment environment;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const absl::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals == absl::string_view::npos) continue;
    environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return environment;
}

}  // namespace holdfast::daemon
