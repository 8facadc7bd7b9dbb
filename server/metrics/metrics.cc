#include "server/metrics/metrics.h"

#include <prometheus/text_serializer.h>

#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "server/metrics/process.h"

namespace holdfast::metrics {
namespace {

using prometheus::Family;
using prometheus::Registry;
using Buckets = Histogram::BucketBoundaries;

constexpr const char* kKinds[] = {"rate_limit", "usage", "message"};
constexpr const char* kRefusedKinds[] = {"rate_limit", "usage", "message", "unknown"};
constexpr const char* kRefusedReasons[] = {"missing",   "too_long",  "out_of_range", "unknown_kind",
                                           "malformed", "too_large", "too_old",      "disabled"};
constexpr const char* kTables[] = {
    "holdfast_lanes", "holdfast_quarantine", "holdfast_rate_limit_hits",
    "message",        "rate_limit_records",  "usage_records",
    "usage_stats"};
constexpr const char* kConnectionReasons[] = {
    "user", "too_many", "tls", "protocol", "headers", "flood", "timeout", "descriptors", "unknown"};
constexpr int kDeadlock = 1213;
constexpr int kLockWaitTimeout = 1205;

// From the quickest sync of a good disk to a database that hangs.
Buckets Seconds() {
  return {0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
          0.025,   0.05,   0.1,     0.25,   0.5,   1,      2.5,   5};
}

Buckets Rows() { return {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192}; }

Family<Counter>& Counters(Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}
Family<Gauge>& Gauges(Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}
Family<Histogram>& Histograms(Registry& registry, const char* name, const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
}

Counter* OneCounter(Registry& registry, const char* name, const char* help) {
  return &Counters(registry, name, help).Add({});
}
Gauge* OneGauge(Registry& registry, const char* name, const char* help) {
  return &Gauges(registry, name, help).Add({});
}
Histogram* OneHistogram(Registry& registry, const char* name, const char* help,
                        const Buckets& buckets) {
  return &Histograms(registry, name, help).Add({}, buckets);
}

// A series for each kind of event.
template <typename T, typename... Arguments>
ByKind<T> EachKind(Family<T>& family, const Arguments&... arguments) {
  ByKind<T> series;
  for (size_t kind = 0; kind < series.size(); ++kind) {
    series[kind] = &family.Add({{"kind", kKinds[kind]}}, arguments...);
  }
  return series;
}

}  // namespace

Metrics::Metrics(absl::string_view version) : registry_(std::make_shared<Registry>()) {
  Gauges(*registry_, "holdfast_build_info",
         "Always 1; the label says which version runs. Worrying: several versions for long.")
      .Add({{"version", std::string(version)}})
      .Set(1);
  AddEvents(*registry_);
  AddJournal(*registry_);
  AddBatches(*registry_);
  AddStatements(*registry_);
  AddPool(*registry_);
  AddGateways(*registry_);
}

std::string Metrics::Scrape() {
  std::vector<prometheus::MetricFamily> families = registry_->Collect();
  std::vector<prometheus::MetricFamily> process = CollectProcess();
  families.insert(families.end(), std::make_move_iterator(process.begin()),
                  std::make_move_iterator(process.end()));
  return prometheus::TextSerializer().Serialize(families);
}

void Metrics::AddEvents(Registry& registry) {
  events_accepted = EachKind(
      Counters(registry, "holdfast_events_accepted_total",
               "Events that became durable in the journal. Worrying: flat while gateways send."));
  events_committed = EachKind(
      Counters(registry, "holdfast_events_committed_total",
               "Events whose row was brought into the database. Worrying: flat while events are "
               "pending."));
  events_duplicate = EachKind(
      Counters(registry, "holdfast_events_duplicate_total",
               "Events whose id was in the database already; they counted once. Worrying: a large "
               "share of those accepted, when a gateway sends everything twice."));
  events_quarantined = EachKind(
      Counters(registry, "holdfast_events_quarantined_total",
               "Events that the database refused, kept in holdfast_quarantine. Worrying: any."));
  events_resent = OneCounter(
      registry, "holdfast_events_resent_total",
      "Events that were in the journal already and were acknowledged again without being taken. "
      "Worrying: growth without restarts of gateways, which means that acknowledgements get lost.");
  events_pending = EachKind(Gauges(
      registry, "holdfast_events_pending",
      "Events in the journal that are not yet in the database. Worrying: growth that lasts."));
  oldest_pending_seconds = EachKind(
      Gauges(registry, "holdfast_oldest_pending_event_age_seconds",
             "How long the oldest event that is not yet in the database has waited; 0 if none is. "
             "Worrying: more than a minute."));
  memory_batches_bytes =
      OneGauge(registry, "holdfast_memory_batches_bytes",
               "Memory held by batches on their way to the database. Worrying: at its limit for "
               "long; then lanes are fed from the disk.");
  refused_ = &Counters(registry, "holdfast_events_refused_total",
                       "Events that broke a rule of the contract and were not taken, by what was "
                       "wrong. Worrying: any; a gateway has a fault, and its log names the field.");
  for (const char* kind : kRefusedKinds) {
    for (const char* reason : kRefusedReasons) EventsRefused(kind, reason);
  }
}

void Metrics::AddJournal(Registry& registry) {
  journal_sync_seconds = OneHistogram(
      registry, "holdfast_journal_sync_seconds",
      "How long one write and sync of the journal took; every acknowledgement waits for one. "
      "Worrying: a 99th percentile above 0.05.",
      Seconds());
  journal_group_events = OneHistogram(
      registry, "holdfast_journal_group_events",
      "Events in one sync of the journal. Worrying: always at the top, when the disk is the limit.",
      Rows());
  journal_written_bytes = OneCounter(
      registry, "holdfast_journal_written_bytes_total",
      "Bytes written to the journal. Worrying: faster than the volume can bear for long.");
  journal_used_bytes = OneGauge(
      registry, "holdfast_journal_used_bytes",
      "Bytes of the journal's segments that hold events not yet in the database. Worrying: above "
      "half of holdfast_journal_limit_bytes.");
  journal_limit_bytes =
      OneGauge(registry, "holdfast_journal_limit_bytes",
               "The journal's limit, HOLDFAST_JOURNAL_MAX_BYTES. Worrying: less than an outage of "
               "the database needs.");
  journal_segments =
      OneGauge(registry, "holdfast_journal_segments",
               "Segment files on the disk, those kept after delivery included. Worrying: growth "
               "that lasts, as of holdfast_journal_used_bytes.");
  journal_full = OneGauge(
      registry, "holdfast_journal_full",
      "1 while new events are refused because the journal is full, otherwise 0. Worrying: 1.");
  journal_poisoned =
      OneGauge(registry, "holdfast_journal_poisoned",
               "1 after a failed write or sync: nothing is acknowledged until the daemon is "
               "restarted on a sound disk. Worrying: 1.");
  journal_failed_at = OneGauge(
      registry, "holdfast_journal_failure_timestamp_seconds",
      "When a write or sync of the journal last failed, in this process or an earlier one, in "
      "seconds since 1970; 0 if none did. Worrying: any that nobody has looked into.");
  journal_corruptions =
      OneCounter(registry, "holdfast_journal_corruptions_total",
                 "Damaged places found in the journal since the start; what stood there is set "
                 "aside, and the log names the events. Worrying: any.");
}

void Metrics::AddBatches(Registry& registry) {
  batch_rows = EachKind(Histograms(registry, "holdfast_batch_rows",
                                   "Events in one transaction. Worrying: always at the top, when "
                                   "the database is the limit."),
                        Rows());
  batch_seconds = EachKind(Histograms(registry, "holdfast_batch_seconds",
                                      "How long one attempt at a transaction took, COMMIT "
                                      "included. Worrying: a 99th percentile above 1."),
                           Seconds());
  commits_unknown = OneCounter(
      registry, "holdfast_commits_unknown_total",
      "COMMITs whose answer was lost; each was settled by running the same transaction again. "
      "Worrying: growth that lasts, when the way to the database breaks.");
  lane_reseats = OneCounter(
      registry, "holdfast_lane_reseats_total",
      "How often a lane's position in the database was not where this daemon had left it; the lane "
      "went on from there. Worrying: any without a failover of the database.");
  retries_ = &Counters(registry, "holdfast_retries_total",
                       "Transactions that will be run again, by the database's error number. "
                       "Worrying: 1205 at all, 1213 at more than a few a minute.");
  for (const int error_number : {kDeadlock, kLockWaitTimeout}) Retries(error_number);
  lane_stopped_ = &Gauges(registry, "holdfast_lane_stopped",
                          "1 while the lane waits for an operator to mend the database, otherwise "
                          "0; the status page says what to mend. Worrying: 1.");
}

void Metrics::AddStatements(Registry& registry) {
  deadlocks_ = &Counters(registry, "holdfast_deadlocks_total",
                         "Deadlocks (error 1213), by the table whose statement met one; each was "
                         "retried. Worrying: more than a few a minute.");
  statement_seconds_ = &Histograms(registry, "holdfast_statement_seconds",
                                   "How long one statement took, by table and outcome. Worrying: a "
                                   "99th percentile above 0.5.");
  slow_statements_ = &Counters(registry, "holdfast_slow_statements_total",
                               "Statements that took longer than they should, by table; the log "
                               "names them. Worrying: growth that lasts.");
  for (const char* table : kTables) {
    Deadlocks(table);
    StatementSeconds(table, "ok");
    SlowStatements(table);
  }
  StatementSeconds("transaction", "ok");
  SlowStatements("transaction");
}

void Metrics::AddPool(Registry& registry) {
  Family<Gauge>& connections =
      Gauges(registry, "holdfast_pool_connections",
             "Connections to the database, lent out or idle. Worrying: as many in use as "
             "holdfast_pool_limit for long.");
  pool_in_use = &connections.Add({{"state", "in_use"}});
  pool_idle = &connections.Add({{"state", "idle"}});
  pool_limit = OneGauge(registry, "holdfast_pool_limit",
                        "The most connections that may be open. Worrying: fewer than the lanes.");
  pool_wait_seconds = OneHistogram(registry, "holdfast_pool_wait_seconds",
                                   "How long a lane waited for a connection. Worrying: a 99th "
                                   "percentile above 0.1.",
                                   Seconds());
  pool_use_seconds = OneHistogram(registry, "holdfast_pool_use_seconds",
                                  "How long a connection was lent out. Worrying: a 99th percentile "
                                  "above 1.",
                                  Seconds());
  pool_create_seconds = OneHistogram(registry, "holdfast_pool_create_seconds",
                                     "How long it took to make a connection. Worrying: a 99th "
                                     "percentile above 0.5, or many of them.",
                                     Seconds());
  pool_timeouts = OneCounter(registry, "holdfast_pool_timeouts_total",
                             "Waits for a connection that were given up. Worrying: any.");
  pool_held_too_long = OneCounter(registry, "holdfast_pool_held_too_long_total",
                                  "Connections that were lent out for longer than they should be. "
                                  "Worrying: any.");
  breaker_state = OneGauge(registry, "holdfast_breaker_state",
                           "The circuit breaker towards the database: 0 closed, 1 half open, 2 "
                           "open. Worrying: not 0; the database does not answer.");
  database_durable_commits =
      OneGauge(registry, "holdfast_database_durable_commits",
               "1 if the database syncs at every COMMIT, otherwise, and before the first "
               "connection, 0. Worrying: 0; a crash of the database can lose its last commits.");
}

void Metrics::AddGateways(Registry& registry) {
  gateway_connections = OneGauge(registry, "holdfast_connections",
                                 "Connections of gateways that are open. Worrying: near "
                                 "HOLDFAST_CONNECTIONS_MAX.");
  connections_refused_ = &Counters(
      registry, "holdfast_connections_refused_total",
      "Connections that were not let in, or were closed for what came over them, by reason. "
      "Worrying: any; the log names the first of each reason.");
  for (const char* reason : kConnectionReasons) ConnectionsRefused(reason);
  streams = OneGauge(registry, "holdfast_streams",
                     "Streams of gateways that are open. Worrying: 0 while gateways run.");
  acks = OneCounter(registry, "holdfast_acks_total",
                    "Acknowledgements sent on streams. Worrying: flat while events are accepted.");
  stream_stalls =
      OneCounter(registry, "holdfast_stream_stalls_total",
                 "How often the next read of a stream was put off because there was no room. "
                 "Worrying: growth that lasts; the journal's disk is too slow, or it is full.");
  requests_ = &Counters(registry, "holdfast_requests_total",
                        "Calls and streams that have ended, by method and gRPC status code. "
                        "Worrying: INTERNAL, DATA_LOSS or RESOURCE_EXHAUSTED.");
  draining = OneGauge(registry, "holdfast_draining",
                      "1 while the daemon drains on its way to the end, otherwise 0. Worrying: 1 "
                      "for longer than HOLDFAST_DRAIN_TIMEOUT.");
}

Counter& Metrics::EventsRefused(absl::string_view kind, absl::string_view reason) {
  return refused_->Add({{"kind", std::string(kind)}, {"reason", std::string(reason)}});
}

Counter& Metrics::Retries(int error_number) {
  return retries_->Add({{"errno", absl::StrCat(error_number)}});
}

Counter& Metrics::Deadlocks(absl::string_view table) {
  return deadlocks_->Add({{"table", std::string(table)}});
}

Histogram& Metrics::StatementSeconds(absl::string_view table, absl::string_view outcome) {
  return statement_seconds_->Add({{"table", std::string(table)}, {"outcome", std::string(outcome)}},
                                 Seconds());
}

Counter& Metrics::SlowStatements(absl::string_view table) {
  return slow_statements_->Add({{"table", std::string(table)}});
}

Gauge& Metrics::LaneStopped(absl::string_view lane) {
  return lane_stopped_->Add({{"lane", std::string(lane)}});
}

Counter& Metrics::Requests(absl::string_view method, absl::string_view code) {
  return requests_->Add({{"method", std::string(method)}, {"code", std::string(code)}});
}

Counter& Metrics::ConnectionsRefused(absl::string_view reason) {
  return connections_refused_->Add({{"reason", std::string(reason)}});
}

}  // namespace holdfast::metrics
