// The log: one line for one event, a sentence and named values, to standard error.
//
//   base::LogWarning("journal is nearly full", {{"used_bytes", used}, {"limit_bytes", limit}});
//
// as text
//
//   2026-01-15T10:30:00.000000Z warning journal is nearly full used_bytes=7 limit_bytes=9
//
// or as JSON
//
//   {"time":"2026-01-15T10:30:00.000000Z","level":"warning","msg":"journal is nearly full",
//    "used_bytes":7,"limit_bytes":9}                                           (on one line)
//
// An error is logged once, by whoever handles it, never by those who hand it on. Values of events,
// keys and secrets are never logged. From info on, no more than a hundred lines a minute have the
// same level and sentence (log_limiter.h): so a sentence is a constant, and what differs is a
// field.

#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace holdfast::base {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
enum class LogFormat { kText, kJson };

// A named value of a log line.
struct LogField {
  enum class Form : uint8_t {
    kText,
    kNumber,   // Or true, or false.
    kSeconds,  // `value` as text; in JSON it is `seconds`, and the name ends in _seconds.
    kList,     // Of plain words, with commas between them; in JSON an array.
  };

  LogField(absl::string_view key, absl::string_view text) : name(key), value(text) {}
  LogField(absl::string_view key, const char* text) : name(key), value(text) {}
  LogField(absl::string_view key, const std::string& text) : name(key), value(text) {}
  // A template, or numbers would turn into bools rather than into text.
  template <std::same_as<bool> Bool>
  LogField(absl::string_view key, Bool truth)
      : name(key), value(truth ? "true" : "false"), form(Form::kNumber) {}
  LogField(absl::string_view key, const absl::AlphaNum& number)
      : name(key), value(number.Piece()), form(Form::kNumber) {}
  LogField(absl::string_view key, absl::Duration duration)
      : name(key),
        value(absl::FormatDuration(duration)),
        form(Form::kSeconds),
        seconds(absl::ToDoubleSeconds(duration)) {}
  LogField(absl::string_view key, const std::vector<std::string>& words)
      : name(key), value(absl::StrJoin(words, ",")), form(Form::kList) {}
  LogField(absl::string_view key, const absl::Status& status)
      : name(key), value(status.ToString(absl::StatusToStringMode::kWithNoExtraData)) {}

  absl::string_view name;
  std::string value;
  Form form = Form::kText;
  double seconds = 0;
};

// All of these are thread-safe. Lines below the level of SetLogLevel are dropped.
void SetLogLevel(LogLevel level);
LogLevel GetLogLevel();
void SetLogFormat(LogFormat format);
// Whether lines of this level are written: before work that only a line needs.
bool IsLogged(LogLevel level);
void Log(LogLevel level, absl::string_view sentence, absl::Span<const LogField> fields);
void LogDebug(absl::string_view sentence, std::initializer_list<LogField> fields = {});
void LogInfo(absl::string_view sentence, std::initializer_list<LogField> fields = {});
void LogWarning(absl::string_view sentence, std::initializer_list<LogField> fields = {});
void LogError(absl::string_view sentence, std::initializer_list<LogField> fields = {});

// Says what was held back in the minutes that are over, and with `all` also in this one: to be
// called now and then, and at the end.
void SayWhatWasHeldBack(bool all);

// "debug", "info", "warning" or "error", in any case; InvalidArgument otherwise.
absl::Status ParseLogLevel(absl::string_view text, LogLevel* level);
// As ParseLogLevel takes it.
absl::string_view LogLevelName(LogLevel level);

// What is best where nobody says: text for people, JSON for what collects the logs of pods.
LogFormat ChooseLogFormat(bool on_terminal, bool in_pod);

}  // namespace holdfast::base
