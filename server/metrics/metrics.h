// Every counter, gauge and histogram of the daemon, named once. Rooms above take a Metrics& and
// count; none of them spells a metric's name. Labels are bounded: never a tenant, a key or an id.

#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace holdfast::metrics {

using prometheus::Counter;
using prometheus::Gauge;
using prometheus::Histogram;

// One series for each kind of event, indexed by static_cast<size_t>(event::Kind): "rate_limit",
// "usage", "message". (This room does not know the event room; a test holds the two together.)
template <typename T>
using ByKind = std::array<T*, 3>;

// Thread-safe. Every series with fixed labels exists from the start, at 0.
class Metrics {
 public:
  // `version` goes into holdfast_build_info. Throws only on a name that Prometheus forbids, that
  // is, at the first start of a faulty build.
  explicit Metrics(absl::string_view version);

  // The text that Prometheus scrapes, process metrics (CPU, memory, files, start time) included.
  std::string Scrape();

  // Events.
  ByKind<Counter> events_accepted;
  ByKind<Counter> events_committed;
  ByKind<Counter> events_duplicate;
  ByKind<Counter> events_quarantined;
  Counter* events_resent;  // Held already, acknowledged again.
  ByKind<Gauge> events_pending;
  ByKind<Gauge> oldest_pending_seconds;
  Gauge* memory_batches_bytes;  // Batches in memory.
  // `kind` may be "unknown". Reasons: Fault::label.
  Counter& EventsRefused(absl::string_view kind, absl::string_view reason);

  // Journal.
  Histogram* journal_sync_seconds;
  Histogram* journal_group_events;
  Counter* journal_written_bytes;
  Gauge* journal_used_bytes;
  Gauge* journal_limit_bytes;
  Gauge* journal_segments;
  Gauge* journal_full;       // 1 while new events are refused.
  Gauge* journal_poisoned;   // 1 after a failed write or sync.
  Gauge* journal_failed_at;  // Of the last one, also of an earlier process; 0: none.
  Counter* journal_corruptions;

  // Batches towards the database.
  ByKind<Histogram> batch_rows;
  ByKind<Histogram> batch_seconds;
  Counter* commits_unknown;  // COMMITs whose answer was lost; settled by running again.
  Counter* lane_reseats;     // Lanes whose position in the database was not where we left it.
  Counter& Retries(int error_number);
  Counter& Deadlocks(absl::string_view table);
  // `outcome`: "ok", "retry", "reject", "outage", "lost". `table`: a table's name, or
  // "transaction".
  Histogram& StatementSeconds(absl::string_view table, absl::string_view outcome);
  Counter& SlowStatements(absl::string_view table);
  // 1 while the lane is stopped until an operator mends the database.
  Gauge& LaneStopped(absl::string_view lane);

  // Pool and breaker.
  Gauge* pool_in_use;
  Gauge* pool_idle;
  Gauge* pool_limit;
  Histogram* pool_wait_seconds;
  Histogram* pool_use_seconds;
  Histogram* pool_create_seconds;
  Counter* pool_timeouts;
  Counter* pool_held_too_long;
  Gauge* breaker_state;             // 0 closed, 1 half open, 2 open.
  Gauge* database_durable_commits;  // 1 if the server syncs at commit, 0 if not.

  // Gateways.
  Gauge* gateway_connections;
  // `reason`: "user", "too_many", "tls", "protocol", "headers", "flood", "timeout",
  // "descriptors", "unknown".
  Counter& ConnectionsRefused(absl::string_view reason);
  Gauge* streams;
  Counter* acks;
  Counter* stream_stalls;  // Reads put off because there was no room.
  Counter& Requests(absl::string_view method, absl::string_view code);
  Gauge* draining;

 private:
  void AddEvents(prometheus::Registry& registry);
  void AddJournal(prometheus::Registry& registry);
  void AddBatches(prometheus::Registry& registry);
  void AddStatements(prometheus::Registry& registry);
  void AddPool(prometheus::Registry& registry);
  void AddGateways(prometheus::Registry& registry);

  std::shared_ptr<prometheus::Registry> registry_;
  prometheus::Family<Counter>* refused_;
  prometheus::Family<Counter>* retries_;
  prometheus::Family<Counter>* deadlocks_;
  prometheus::Family<Histogram>* statement_seconds_;
  prometheus::Family<Counter>* slow_statements_;
  prometheus::Family<Gauge>* lane_stopped_;
  prometheus::Family<Counter>* requests_;
  prometheus::Family<Counter>* connections_refused_;
};

}  // namespace holdfast::metrics
