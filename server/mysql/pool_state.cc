#include "server/mysql/pool_state.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "server/base/check.h"
#include "server/base/log.h"
#include "server/base/status_macros.h"

namespace holdfast::mysql {
namespace {

// A connection that dies before its first use is replaced this often within one Rent.
constexpr int kTriesMax = 3;

}  // namespace

absl::StatusOr<std::unique_ptr<Connection>> Pool::State::AwaitPlace(absl::Time deadline) {
  const absl::Time start = clock.Steady();
  const absl::Time end = std::min(deadline, start + options.pool_timeout);
  absl::MutexLock lock(&mu);
  ReportHeldTooLong();
  Waiter self = {this};
  waiters.push_back(&self);
  const bool served = clock.AwaitWithTimeout(mu, absl::Condition(&self, &Waiter::IsServed),
                                             std::max(end - start, absl::ZeroDuration()));
  waiters.erase(std::find(waiters.begin(), waiters.end(), &self));
  metrics.pool_wait_seconds->Observe(absl::ToDoubleSeconds(clock.Steady() - start));
  if (closed) return absl::UnavailableError("the pool of database connections is closed");
  if (!served) {
    metrics.pool_timeouts->Increment();
    return absl::DeadlineExceededError(
        absl::StrCat("no database connection became free: all ", limit(), " are in use"));
  }
  return TakePlace();
}

std::unique_ptr<Connection> Pool::State::TakePlace() {
  HOLDFAST_CHECK(HasRoom());
  ++moving;
  std::unique_ptr<Connection> candidate;
  if (!idle.empty()) {
    candidate = std::move(idle.back());
    idle.pop_back();
  }
  ShowCounts();
  return candidate;
}

absl::StatusOr<std::unique_ptr<Connection>> Pool::State::Prepare(
    std::unique_ptr<Connection> candidate, absl::Time deadline) {
  for (int tries = 0; tries < kTriesMax; ++tries) {
    if (candidate != nullptr && !IsUsable(*candidate)) Forget(std::move(candidate));
    if (candidate == nullptr) {
      auto opened = OpenNew(deadline);
      if (!opened.ok()) {
        GiveUpPlace();
        return std::move(opened).status();
      }
      candidate = *std::move(opened);
    }
    RunKills(*candidate);
    if (!candidate->is_lost()) return candidate;
  }
  Forget(std::move(candidate));
  GiveUpPlace();
  return absl::UnavailableError("connections to the database break as soon as they are opened");
}

void Pool::State::Forget(std::unique_ptr<Connection> connection) {
  absl::MutexLock lock(&mu);
  members.erase(connection.get());
  // Destroyed after the lock is released: parameters outlive the body.
}

absl::StatusOr<std::unique_ptr<Connection>> Pool::State::OpenNew(absl::Time deadline) {
  Connector::Opened opened;
  HOLDFAST_ASSIGN_OR_RETURN(opened, connector.Open(deadline));
  absl::MutexLock lock(&mu);
  // Up to a tenth earlier, so that those opened together are not all replaced together.
  const double early = std::uniform_real_distribution<double>(0, 0.1)(random);
  Member member;
  member.endpoint = opened.endpoint;
  member.recycle_at = clock.Steady() + options.pool_recycle * (1 - early);
  members[opened.connection.get()] = member;
  return std::move(opened.connection);
}

bool Pool::State::IsUsable(Connection& connection) {
  if (connection.is_lost()) return false;
  bool ping = false;
  {
    absl::MutexLock lock(&mu);
    const Member& member = members.at(&connection);
    const absl::Time now = clock.Steady();
    if (now >= member.recycle_at || member.endpoint != connector.endpoint()) return false;
    // The server has closed it by now.
    if (now - member.idle_since >= options.idle_timeout) return false;
    ping = now - member.idle_since >= options.pre_ping_after || member.idle_since <= trusted_since;
  }
  // A failure is not an error: it is what the ping is for, and a new connection follows.
  return !ping || connection.Ping().ok();
}

void Pool::State::RunKills(Connection& connection) {
  std::vector<uint64_t> ids;
  {
    absl::MutexLock lock(&mu);
    if (kills.empty()) return;
    ids = kills.TakeFor(connection.facts(), clock.Steady());
  }
  for (const uint64_t id : ids) {
    const absl::Status killed = connection.KillConnection(id);
    if (killed.ok()) {
      base::LogInfo("lost connection killed on the server", {{"connection_id", id}});
    } else {
      base::LogWarning("lost connection not killed; its locks last until wait_timeout",
                       {{"connection_id", id}, {"why", killed.message()}});
    }
  }
}

void Pool::State::GiveUpPlace() {
  absl::MutexLock lock(&mu);
  --moving;
  ShowCounts();
}

bool Pool::State::Keeps(const Connection& connection, const Member& member) const {
  return !closed && !connection.is_lost() && !connection.in_transaction() &&
         !connection.is_read_only() && !connection.met_its_limit() &&
         clock.Steady() < member.recycle_at && member.endpoint == connector.endpoint() &&
         (total() <= options.pool_size || !waiters.empty());
}

void Pool::State::PutBack(std::unique_ptr<Connection> connection, bool healthy) {
  std::vector<std::unique_ptr<Connection>> closing;
  {
    absl::MutexLock lock(&mu);
    Member& member = members.at(connection.get());
    const absl::Time now = clock.Steady();
    if (connection->is_lost()) {
      // What happened to this one may have happened to those that lie idle.
      trusted_since = now;
      if (connection->in_transaction() && !member.kill_asked) kills.Add(connection->facts(), now);
    }
    if (connection->is_read_only()) {
      connector.MoveOn(member.endpoint);
      closing = TakeIdle();
    }
    if (healthy && Keeps(*connection, member)) {
      member.idle_since = now;
      idle.push_back(std::move(connection));
      --moving;
    } else {
      members.erase(connection.get());
      closing.push_back(std::move(connection));
    }
    ShowCounts();
  }
  Close(std::move(closing));
}

std::vector<std::unique_ptr<Connection>> Pool::State::TakeIdle() {
  std::vector<std::unique_ptr<Connection>> taken;
  for (auto& connection : idle) {
    members.erase(connection.get());
    taken.push_back(std::move(connection));
    ++moving;
  }
  idle.clear();
  return taken;
}

void Pool::State::Close(std::vector<std::unique_ptr<Connection>> connections) {
  const auto count = static_cast<int>(connections.size());
  connections.clear();
  absl::MutexLock lock(&mu);
  moving -= count;
  ShowCounts();
}

void Pool::State::ReportHeldTooLong() {
  const absl::Time now = clock.Steady();
  for (auto& [connection, member] : members) {
    if (!member.is_lent || member.reported || now - member.lent_at < options.held_too_long)
      continue;
    member.reported = true;
    metrics.pool_held_too_long->Increment();
    base::LogWarning(
        "database connection held for long",
        {{"connection_id", connection->facts().connection_id}, {"held", now - member.lent_at}});
  }
}

void Pool::State::ShowCounts() {
  metrics.pool_in_use->Set(lent);
  metrics.pool_idle->Set(static_cast<double>(idle.size()));
}

}  // namespace holdfast::mysql
