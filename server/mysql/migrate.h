// Brings a database to the schema of this binary: applies what is missing of sql/.

#pragma once

#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "server/base/clock.h"
#include "server/metrics/metrics.h"
#include "server/mysql/pool.h"
#include "server/mysql/session.h"

namespace holdfast::mysql {

// What a database says of its schema in holdfast_schema.
struct SchemaState {
  int version = 0;               // 0: nothing of ours.
  std::string stats_utc_offset;  // "+08:00"; of the newest migration. Empty at version 0.
};

// The version that this binary needs, and brings a database to.
int SchemaVersion();

// Reads the state of the database that `session` is in.
absl::StatusOr<SchemaState> ReadSchemaState(Session& session);

// Creates options.database if it is missing, and applies each missing migration in order. A table
// of an earlier gateway that stands in the way of usage_records, usage_stats or cost_stats is
// renamed to <name>_before_holdfast. `stats_utc_offset` ("+08:00") is recorded; if the database
// holds statistics at another one, nothing is done. `progress` is told of each step, a line without
// its end.
//
// May be run any number of times, by several at once (they take turns), and again after it was
// interrupted: DDL does not roll back, so every statement can be repeated. Fails without changing
// anything if the schema is newer than this binary knows.
absl::Status Migrate(const DatabaseOptions& options, absl::string_view stats_utc_offset,
                     base::Clock& clock, metrics::Metrics& metrics,
                     absl::AnyInvocable<void(absl::string_view)> progress);

}  // namespace holdfast::mysql
