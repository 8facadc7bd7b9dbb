#include "server/mysql/pool.h"

#include <utility>

#include "server/base/check.h"
#include "server/base/log.h"
#include "server/base/status_macros.h"
#include "server/mysql/pool_state.h"

namespace holdfast::mysql {

Pool::Pool(const DatabaseOptions& options, base::Clock& clock, metrics::Metrics& metrics)
    : state_(std::make_unique<State>(options, clock, metrics)) {
  metrics.pool_limit->Set(state_->limit());
}

Pool::~Pool() {
  Close();
  absl::MutexLock lock(&state_->mu);
  HOLDFAST_CHECK(state_->lent == 0 && state_->moving == 0 && state_->waiters.empty());
}

absl::StatusOr<Rented> Pool::Rent(absl::Time deadline) {
  std::unique_ptr<Connection> connection;
  HOLDFAST_ASSIGN_OR_RETURN(connection, state_->AwaitPlace(deadline));
  HOLDFAST_ASSIGN_OR_RETURN(connection, state_->Prepare(std::move(connection), deadline));
  {
    absl::MutexLock lock(&state_->mu);
    State::Member& member = state_->members.at(connection.get());
    member.is_lent = true;
    member.reported = false;
    member.lent_at = state_->clock.Steady();
    --state_->moving;
    ++state_->lent;
    state_->ShowCounts();
  }
  return Rented(this, std::move(connection));
}

void Pool::TakeBack(std::unique_ptr<Session> session, bool healthy) {
  // Every session that comes back is one that Rent gave out.
  std::unique_ptr<Connection> connection(static_cast<Connection*>(session.release()));
  {
    absl::MutexLock lock(&state_->mu);
    State::Member& member = state_->members.at(connection.get());
    HOLDFAST_CHECK(member.is_lent);
    member.is_lent = false;
    --state_->lent;
    ++state_->moving;
    state_->metrics.pool_use_seconds->Observe(
        absl::ToDoubleSeconds(state_->clock.Steady() - member.lent_at));
  }
  state_->PutBack(std::move(connection), healthy);
}

void Pool::Kill(const Session& session) {
  const auto& connection = static_cast<const Connection&>(session);
  const absl::Time now = state_->clock.Steady();
  std::unique_ptr<Connection> candidate;
  {
    absl::MutexLock lock(&state_->mu);
    state_->members.at(&connection).kill_asked = true;
    state_->kills.Add(connection.facts(), now);
    // Whoever waits, and gets a connection, kills first.
    if (state_->closed || !state_->waiters.empty() || !state_->HasRoom()) return;
    candidate = state_->TakePlace();
  }
  auto prepared = state_->Prepare(std::move(candidate), now + state_->options.connect_timeout);
  if (!prepared.ok()) {
    base::LogDebug("lost connection is killed once the server can be reached",
                   {{"connection_id", connection.facts().connection_id},
                    {"why", prepared.status().message()}});
    return;
  }
  state_->PutBack(*std::move(prepared), /*healthy=*/true);
}

DatabaseStatus Pool::Status() const {
  DatabaseStatus status = state_->connector.Status();
  absl::MutexLock lock(&state_->mu);
  state_->ReportHeldTooLong();
  status.in_use = static_cast<uint64_t>(state_->lent);
  status.idle = state_->idle.size();
  status.waiting = state_->waiters.size();
  status.limit = static_cast<uint64_t>(state_->limit());
  return status;
}

CircuitStatus Pool::Circuit() const { return state_->connector.Circuit(); }

void Pool::ResetCircuit() { state_->connector.ResetCircuit(); }

void Pool::Close() {
  std::vector<std::unique_ptr<Connection>> closing;
  {
    absl::MutexLock lock(&state_->mu);
    state_->closed = true;
    closing = state_->TakeIdle();
    state_->ShowCounts();
  }
  state_->Close(std::move(closing));
}

}  // namespace holdfast::mysql
