#include "server/mysql/connector.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "server/base/log.h"
#include "server/base/status_macros.h"
#include "server/mysql/errors.h"

namespace holdfast::mysql {
namespace {

// `status` in other words, with the error it carries.
absl::Status Reworded(const absl::Status& status, absl::string_view text) {
  absl::Status reworded(status.code(), text);
  status.ForEachPayload([&reworded](absl::string_view url, const absl::Cord& payload) {
    reworded.SetPayload(url, payload);
  });
  return reworded;
}

double GaugeOf(flow::BreakerState state) {
  switch (state) {
    case flow::BreakerState::kClosed:
      return 0;
    case flow::BreakerState::kHalfOpen:
      return 1;
    case flow::BreakerState::kOpen:
      return 2;
  }
  return 2;
}

}  // namespace

Connector::Connector(const DatabaseOptions& options, base::Clock& clock, metrics::Metrics& metrics)
    : options_(options), clock_(clock), metrics_(metrics), breaker_(options.breaker) {
  seen_.endpoint = options_.endpoints[0].ToString();
  seen_.failure = absl::UnavailableError("no connection has been tried yet");
}

absl::StatusOr<Connector::Opened> Connector::Open(absl::Time deadline) {
  // That nothing can be tried any more says nothing of the database.
  if (clock_.Steady() >= deadline) {
    return absl::DeadlineExceededError("no time is left to connect to the database");
  }
  HOLDFAST_RETURN_IF_ERROR(Admit());
  const size_t first = endpoint();
  const size_t endpoints = options_.endpoints.size();
  std::vector<absl::Status> failures;
  for (size_t i = 0; i < endpoints && (i == 0 || clock_.Steady() < deadline); ++i) {
    const size_t at = (first + i) % endpoints;
    absl::StatusOr<std::unique_ptr<Connection>> connection = Try(at, deadline);
    if (connection.ok()) {
      for (const absl::Status& failure : failures) {
        base::LogWarning("database endpoint passed over", {{"why", failure.message()}});
      }
      Succeeded(at, (*connection)->facts());
      return Opened{*std::move(connection), at};
    }
    failures.push_back(std::move(connection).status());
  }
  return Failed(failures);
}

absl::Status Connector::Admit() {
  absl::MutexLock lock(&mu_);
  const absl::Duration wait = breaker_.Admit(clock_.Steady());
  ShowState();
  if (wait == absl::ZeroDuration()) return absl::OkStatus();
  const absl::Status& why =
      seen_.failure.ok() ? absl::UnavailableError("a connection is being tried") : seen_.failure;
  return Reworded(why, absl::StrCat("the database is tried again in ", absl::FormatDuration(wait),
                                    "; last: ", why.message()));
}

absl::StatusOr<std::unique_ptr<Connection>> Connector::Try(size_t endpoint, absl::Time deadline) {
  const absl::Time start = clock_.Steady();
  const absl::Duration timeout =
      std::clamp(deadline - start, absl::Milliseconds(1), options_.connect_timeout);
  auto connection =
      Connection::Open(options_, options_.endpoints[endpoint], timeout, clock_, metrics_);
  metrics_.pool_create_seconds->Observe(absl::ToDoubleSeconds(clock_.Steady() - start));
  return connection;
}

void Connector::Succeeded(size_t endpoint, const ServerFacts& facts) {
  absl::MutexLock lock(&mu_);
  breaker_.OnSuccess(clock_.Steady());
  ShowState();
  metrics_.database_durable_commits->Set(facts.durable_commits ? 1 : 0);
  const std::string name = options_.endpoints[endpoint].ToString();
  if (!seen_.failure.ok() || seen_.endpoint != name || seen_.server_version != facts.version) {
    base::LogInfo("database connected", {{"endpoint", name}, {"version", facts.version}});
  }
  if (seen_.warnings != facts.warnings) {
    for (const std::string& warning : facts.warnings) {
      base::LogWarning("database setting", {{"endpoint", name}, {"warning", warning}});
    }
  }
  endpoint_ = endpoint;
  seen_.endpoint = name;
  seen_.server_version = facts.version;
  seen_.failure = absl::OkStatus();
  seen_.warnings = facts.warnings;
}

absl::Status Connector::Failed(const std::vector<absl::Status>& failures) {
  const std::string text =
      absl::StrJoin(failures, "; ", [](std::string* out, const absl::Status& failure) {
        absl::StrAppend(out, failure.message());
      });
  absl::MutexLock lock(&mu_);
  seen_.failure = Reworded(failures.back(), text);
  breaker_.OnFailure(clock_.Steady(), text);
  ShowState();
  return seen_.failure;
}

void Connector::ShowState() { metrics_.breaker_state->Set(GaugeOf(breaker_.state())); }

size_t Connector::endpoint() const {
  absl::MutexLock lock(&mu_);
  return endpoint_;
}

void Connector::MoveOn(size_t from) {
  absl::MutexLock lock(&mu_);
  if (endpoint_ == from) endpoint_ = (from + 1) % options_.endpoints.size();
}

CircuitStatus Connector::Circuit() const {
  absl::MutexLock lock(&mu_);
  const absl::Time now = clock_.Steady();
  CircuitStatus circuit;
  circuit.name = "database";
  circuit.state = breaker_.state();
  // The breaker counts on the steady clock, people read the wall's. Infinity is that of both.
  const absl::Duration ahead = clock_.Now() - now;
  circuit.last_state_change = breaker_.last_state_change() + ahead;
  circuit.failures = breaker_.failures(now);
  circuit.attempts = breaker_.attempts(now);
  circuit.last_failure = breaker_.last_failure();
  circuit.last_failure_at = breaker_.last_failure_at() + ahead;
  circuit.options = options_.breaker;
  return circuit;
}

void Connector::ResetCircuit() {
  absl::MutexLock lock(&mu_);
  breaker_.Reset(clock_.Steady());
  ShowState();
}

DatabaseStatus Connector::Status() const {
  absl::MutexLock lock(&mu_);
  return seen_;
}

}  // namespace holdfast::mysql
