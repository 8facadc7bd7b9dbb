#include "server/base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace holdfast::base {
namespace {

spdlog::logger& Logger() {
  static spdlog::logger* const logger = [] {
    auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
    auto* made = new spdlog::logger("holdfast", sink);
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%fZ %^%l%$ %v", spdlog::pattern_time_type::utc);
    made->flush_on(spdlog::level::info);
    return made;
  }();
  return *logger;
}

// A value stays on its line and within quotes if it has blanks.
std::string Quoted(const std::string& value) {
  bool plain = !value.empty();
  std::string quoted = "\"";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || c == '"' || c == '\\' || byte == 0x7f) plain = false;
    if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (byte < ' ' || byte == 0x7f) {
      absl::StrAppend(&quoted, "\\x", absl::Hex(byte, absl::kZeroPad2));
    } else {
      quoted += c;
    }
  }
  return plain ? value : quoted + "\"";
}

void Log(spdlog::level::level_enum level, absl::string_view sentence,
         std::initializer_list<LogField> fields) {
  if (!Logger().should_log(level)) return;
  std::string line(sentence);
  for (const LogField& field : fields) {
    absl::StrAppend(&line, " ", field.name, "=", Quoted(field.value));
  }
  Logger().log(level, line);
}

}  // namespace

void SetLogLevel(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return Logger().set_level(spdlog::level::debug);
    case LogLevel::kInfo:
      return Logger().set_level(spdlog::level::info);
    case LogLevel::kWarning:
      return Logger().set_level(spdlog::level::warn);
    case LogLevel::kError:
      return Logger().set_level(spdlog::level::err);
  }
}

LogLevel GetLogLevel() {
  switch (Logger().level()) {
    case spdlog::level::trace:
    case spdlog::level::debug:
      return LogLevel::kDebug;
    case spdlog::level::info:
      return LogLevel::kInfo;
    case spdlog::level::warn:
      return LogLevel::kWarning;
    default:
      return LogLevel::kError;
  }
}

void LogDebug(absl::string_view sentence, std::initializer_list<LogField> fields) {
  Log(spdlog::level::debug, sentence, fields);
}
void LogInfo(absl::string_view sentence, std::initializer_list<LogField> fields) {
  Log(spdlog::level::info, sentence, fields);
}
void LogWarning(absl::string_view sentence, std::initializer_list<LogField> fields) {
  Log(spdlog::level::warn, sentence, fields);
}
void LogError(absl::string_view sentence, std::initializer_list<LogField> fields) {
  Log(spdlog::level::err, sentence, fields);
}

absl::Status ParseLogLevel(absl::string_view text, LogLevel* level) {
  const std::string name = absl::AsciiStrToLower(text);
  if (name == "debug") {
    *level = LogLevel::kDebug;
  } else if (name == "info") {
    *level = LogLevel::kInfo;
  } else if (name == "warning" || name == "warn") {
    *level = LogLevel::kWarning;
  } else if (name == "error") {
    *level = LogLevel::kError;
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is not one of debug, info, warning, error"));
  }
  return absl::OkStatus();
}

absl::string_view LogLevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "";
}

}  // namespace holdfast::base
