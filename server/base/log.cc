#include "server/base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"

#include "server/base/log_limiter.h"

namespace holdfast::base {
namespace {

constexpr char kTextPattern[] = "%Y-%m-%dT%H:%M:%S.%fZ %^%l%$ %v";
constexpr char kJsonPattern[] = R"({"time":"%Y-%m-%dT%H:%M:%S.%fZ","level":"%l",%v})";

std::atomic<LogFormat> format_in_use = LogFormat::kText;

spdlog::logger& Logger() {
  static spdlog::logger* const logger = [] {
    auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
    auto* made = new spdlog::logger("holdfast", sink);
    made->set_pattern(kTextPattern, spdlog::pattern_time_type::utc);
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

std::string TextLine(absl::string_view sentence, absl::Span<const LogField> fields) {
  std::string line(sentence);
  for (const LogField& field : fields) {
    absl::StrAppend(&line, " ", field.name, "=", Quoted(field.value));
  }
  return line;
}

// The length of the well-formed UTF-8 sequence that `text` begins with; 0 if there is none.
size_t Utf8Length(absl::string_view text) {
  const auto at = [text](size_t i) {
    return static_cast<uint8_t>(i < text.size() ? text[i] : '\0');
  };
  const uint8_t first = at(0);
  const size_t length = first < 0x80   ? 1
                        : first < 0xc2 ? 0
                        : first < 0xe0 ? 2
                        : first < 0xf0 ? 3
                        : first < 0xf5 ? 4
                                       : 0;
  for (size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
  }
  // Too long for what they say, surrogates, beyond the last character.
  if ((first == 0xe0 && at(1) < 0xa0) || (first == 0xed && at(1) > 0x9f) ||
      (first == 0xf0 && at(1) < 0x90) || (first == 0xf4 && at(1) > 0x8f)) {
    return 0;
  }
  return length;
}

void AppendJsonString(absl::string_view text, std::string* out) {
  *out += '"';
  while (!text.empty()) {
    const auto byte = static_cast<uint8_t>(text.front());
    const size_t length = Utf8Length(text);
    if (byte == '"' || byte == '\\') {
      *out += {'\\', text.front()};
    } else if (byte < ' ' || byte == 0x7f) {
      absl::StrAppend(out, "\\u", absl::Hex(byte, absl::kZeroPad4));
    } else if (length == 0) {
      *out += "\\ufffd";
    } else {
      out->append(text.data(), length);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  *out += '"';
}

// What AlphaNum was made from may also have been absl::Hex, or a double that is not finite.
bool IsJsonNumber(absl::string_view text) {
  const size_t digit = absl::StartsWith(text, "-") ? 1 : 0;
  const bool leading_zero = text.size() > digit + 1 && text[digit] == '0' && text[digit + 1] != '.';
  return text.size() > digit && absl::ascii_isdigit(static_cast<unsigned char>(text[digit])) &&
         absl::ascii_isdigit(static_cast<unsigned char>(text.back())) && !leading_zero &&
         text.find_first_not_of("0123456789.e+-") == absl::string_view::npos;
}

void AppendJsonValue(const LogField& field, std::string* out) {
  switch (field.form) {
    case LogField::Form::kText:
      return AppendJsonString(field.value, out);
    case LogField::Form::kNumber:
      if (field.value != "true" && field.value != "false" && !IsJsonNumber(field.value)) {
        return AppendJsonString(field.value, out);
      }
      return absl::StrAppend(out, field.value);
    case LogField::Form::kSeconds:
      if (!std::isfinite(field.seconds)) return absl::StrAppend(out, "null");
      return absl::StrAppend(out, field.seconds);
    case LogField::Form::kList:
      break;
  }
  absl::string_view separator = "[";
  for (const absl::string_view word : absl::StrSplit(field.value, ',', absl::SkipEmpty())) {
    absl::StrAppend(out, separator);
    AppendJsonString(word, out);
    separator = ",";
  }
  absl::StrAppend(out, separator == "[" ? "[]" : "]");
}

// Without the braces, and what the pattern puts before it.
std::string JsonLine(absl::string_view sentence, absl::Span<const LogField> fields) {
  std::string line = R"("msg":)";
  AppendJsonString(sentence, &line);
  for (const LogField& field : fields) {
    line += ',';
    AppendJsonString(
        absl::StrCat(field.name, field.form == LogField::Form::kSeconds ? "_seconds" : ""), &line);
    line += ':';
    AppendJsonValue(field, &line);
  }
  return line;
}

void Write(spdlog::level::level_enum level, absl::string_view sentence,
           absl::Span<const LogField> fields) {
  Logger().log(level, format_in_use.load() == LogFormat::kJson ? JsonLine(sentence, fields)
                                                               : TextLine(sentence, fields));
}

LogLimiter& Limiter() {
  static auto* const limiter = new LogLimiter(LogLimits(), SystemClock());
  return *limiter;
}

void Say(const std::vector<HeldBack>& kinds) {
  for (const HeldBack& kind : kinds) {
    Write(static_cast<spdlog::level::level_enum>(kind.level),
          "lines were held back: too many within a minute said the same",
          {{"sentence", kind.sentence}, {"lines", kind.lines}});
  }
}

void Log(spdlog::level::level_enum level, absl::string_view sentence,
         absl::Span<const LogField> fields) {
  if (!Logger().should_log(level)) return;
  if (level >= spdlog::level::info) {
    std::vector<HeldBack> before;
    const bool admitted = Limiter().Admit(level, sentence, &before);
    Say(before);
    if (!admitted) return;
  }
  Write(level, sentence, fields);
}

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

void SetLogLevel(LogLevel level) { Logger().set_level(ToSpdlog(level)); }

void SetLogFormat(LogFormat format) {
  Logger().set_pattern(format == LogFormat::kJson ? kJsonPattern : kTextPattern,
                       spdlog::pattern_time_type::utc);
  format_in_use = format;
}

bool IsLogged(LogLevel level) { return Logger().should_log(ToSpdlog(level)); }

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

void Log(LogLevel level, absl::string_view sentence, absl::Span<const LogField> fields) {
  Log(ToSpdlog(level), sentence, fields);
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

void SayWhatWasHeldBack(bool all) { Say(Limiter().Take(all)); }

LogFormat ChooseLogFormat(bool on_terminal, bool in_pod) {
  return in_pod && !on_terminal ? LogFormat::kJson : LogFormat::kText;
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
