// The log: one line for one event, a sentence and named values, to standard error.
//
//   base::LogWarning("journal is nearly full", {{"used_bytes", used}, {"limit_bytes", limit}});
//
// An error is logged once, by whoever handles it, never by those who hand it on. Values of events,
// keys and secrets are never logged.

#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace holdfast::base {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// A named value of a log line.
struct LogField {
  LogField(absl::string_view key, absl::string_view text) : name(key), value(text) {}
  LogField(absl::string_view key, const char* text) : name(key), value(text) {}
  LogField(absl::string_view key, const std::string& text) : name(key), value(text) {}
  // A template, or numbers would turn into bools rather than into text.
  template <std::same_as<bool> Bool>
  LogField(absl::string_view key, Bool truth) : name(key), value(truth ? "true" : "false") {}
  LogField(absl::string_view key, const absl::AlphaNum& number)
      : name(key), value(number.Piece()) {}
  LogField(absl::string_view key, absl::Duration duration)
      : name(key), value(absl::FormatDuration(duration)) {}
  LogField(absl::string_view key, const absl::Status& status)
      : name(key), value(status.ToString(absl::StatusToStringMode::kWithNoExtraData)) {}

  absl::string_view name;
  std::string value;
};

// All of these are thread-safe. Lines below the level of SetLogLevel are dropped.
void SetLogLevel(LogLevel level);
LogLevel GetLogLevel();
void LogDebug(absl::string_view sentence, std::initializer_list<LogField> fields = {});
void LogInfo(absl::string_view sentence, std::initializer_list<LogField> fields = {});
void LogWarning(absl::string_view sentence, std::initializer_list<LogField> fields = {});
void LogError(absl::string_view sentence, std::initializer_list<LogField> fields = {});

// "debug", "info", "warning" or "error", in any case; InvalidArgument otherwise.
absl::Status ParseLogLevel(absl::string_view text, LogLevel* level);
// As ParseLogLevel takes it.
absl::string_view LogLevelName(LogLevel level);

}  // namespace holdfast::base
