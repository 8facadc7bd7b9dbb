// rsyslog's rival: the same events as JSON over TCP.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "server/base/clock.h"
#include "server/base/status_macros.h"
#include "server/metrics/metrics.h"
#include "server/statement/build.h"
#include "tests/bench/rivals.h"

namespace holdfast::bench {
namespace {

// A message of RFC 5424 whose text is the event, by the names of the table's columns.
std::string SyslogLine(const v1::Event& event) {
  const v1::UsageEvent& usage = event.usage();
  std::string id = usage.event_id();
  std::erase(id, '-');
  const std::string occurred_at =
      absl::FormatTime("%Y-%m-%d %H:%M:%S", absl::FromUnixSeconds(event.occurred_at().seconds()),
                       absl::UTCTimeZone());
  return absl::StrCat(
      absl::StrCat("<134>1 2026-01-01T00:00:00Z gateway bench - - - @cee:{\"event_id\":\"", id,
                   "\",\"api_key_id\":\"", usage.api_key_id(), "\",\"account_id\":\"",
                   usage.account_id(), "\",\"account_type\":\"", usage.account_type(),
                   "\",\"model\":\"", usage.model(), "\",\"request_id\":\"", usage.request_id()),
      absl::StrCat("\",\"endpoint\":\"", usage.endpoint(), "\",\"method\":\"", usage.method(),
                   "\",\"status_code\":", usage.status_code(),
                   ",\"stream\":", usage.stream() ? 1 : 0, ",\"duration_ms\":", usage.duration_ms(),
                   ",\"input_tokens\":", usage.input_tokens()),
      absl::StrCat(",\"output_tokens\":", usage.output_tokens(), ",\"cache_read_tokens\":",
                   usage.cache_read_tokens(), ",\"cost_micros\":", usage.cost_micros(),
                   ",\"real_cost_micros\":", usage.real_cost_micros(), ",\"occurred_at\":\"",
                   occurred_at, "\"}\n"));
}

absl::Status SendAll(uint16_t port, absl::string_view text) {
  const int link = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const absl::Cleanup close_link = [link] { close(link); };
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(link, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return absl::UnavailableError(absl::StrCat("rsyslog does not listen: ", strerror(errno)));
  }
  while (!text.empty()) {
    const ssize_t sent = send(link, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0) return absl::UnavailableError(absl::StrCat("rsyslog hung up: ", strerror(errno)));
    text.remove_prefix(static_cast<size_t>(sent));
  }
  return absl::OkStatus();
}

// Asks a question whose answer is a number.
absl::StatusOr<uint64_t> Ask(mysql::Session& session, const mysql::Statement& question) {
  HOLDFAST_ASSIGN_OR_RETURN(const auto rows,
                            session.Query(question, statement::OneRow(&question, {}).rows));
  if (rows.size() != 1) return absl::InternalError("no answer to: " + question.head);
  return statement::ReadUnsigned(rows.front(), 0);
}

}  // namespace

absl::StatusOr<absl::Duration> Syslog(const Setting& setting,
                                      const std::vector<v1::Event>& events) {
  uint32_t port = 0;
  if (setting.targets.size() != 1 || !absl::SimpleAtoi(setting.targets.front(), &port) ||
      port > UINT16_MAX) {
    return absl::InvalidArgumentError("--target must be rsyslog's port");
  }
  std::string text;
  for (const v1::Event& event : events) text += SyslogLine(event);
  metrics::Metrics metrics("bench");
  mysql::Pool pool(setting.database, base::SystemClock(), metrics);
  auto session = pool.Rent(base::SystemClock().Steady() + absl::Seconds(30));
  HOLDFAST_RETURN_IF_ERROR(session.status());
  // The server's count of INSERTs costs nothing to ask; the rows themselves are counted at the end.
  static const mysql::Statement* const inserts =
      statement::Fixed("usage_records",
                       "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS "
                       "WHERE VARIABLE_NAME = 'COM_INSERT'",
                       {});
  static const mysql::Statement* const rows =
      statement::Fixed("usage_records", "SELECT COUNT(*) FROM usage_records", {});
  HOLDFAST_ASSIGN_OR_RETURN(const uint64_t rows_before, Ask(**session, *rows));
  HOLDFAST_ASSIGN_OR_RETURN(const uint64_t inserts_before, Ask(**session, *inserts));
  const absl::Time begin = base::SystemClock().Steady();
  HOLDFAST_RETURN_IF_ERROR(SendAll(static_cast<uint16_t>(port), text));
  for (const mysql::Statement* question : {inserts, rows}) {
    const uint64_t wanted = (question == rows ? rows_before : inserts_before) + events.size();
    while (true) {
      HOLDFAST_ASSIGN_OR_RETURN(const uint64_t found, Ask(**session, *question));
      if (found >= wanted) break;
      if (base::SystemClock().Steady() - begin > absl::Minutes(5)) {
        return absl::DataLossError(absl::StrCat("rsyslog brought ", found, " of ", wanted));
      }
      absl::SleepFor(absl::Milliseconds(2));
    }
  }
  return base::SystemClock().Steady() - begin;
}

}  // namespace holdfast::bench
