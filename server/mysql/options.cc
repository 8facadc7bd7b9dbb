#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

#include "server/mysql/pool.h"

namespace holdfast::mysql {
namespace {

absl::Status Fault(absl::string_view field, absl::string_view reason) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", reason));
}

absl::Status Within(absl::string_view field, absl::Duration value, absl::Duration least,
                    absl::Duration most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return Fault(field,
               absl::StrCat(absl::FormatDuration(value), " is not between ",
                            absl::FormatDuration(least), " and ", absl::FormatDuration(most)));
}

absl::Status CheckEndpoints(const std::vector<Endpoint>& endpoints) {
  if (endpoints.empty()) return Fault("endpoints", "at least one host or socket is needed");
  for (const Endpoint& endpoint : endpoints) {
    if (endpoint.host.empty() == endpoint.socket.empty()) {
      return Fault("endpoints", "each needs either a host or a socket");
    }
    if (endpoint.socket.empty() && (endpoint.port < 1 || endpoint.port > 65535)) {
      return Fault("endpoints", absl::StrCat("port ", endpoint.port, " of ", endpoint.host,
                                             " is not between 1 and 65535"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTimes(const DatabaseOptions& options) {
  const absl::Duration day = absl::Hours(24);
  for (const auto& [field, value, least, most] :
       {std::tuple{"pool_timeout", options.pool_timeout, absl::Milliseconds(1), day},
        std::tuple{"pool_recycle", options.pool_recycle, absl::Seconds(1), 30 * day},
        std::tuple{"pre_ping_after", options.pre_ping_after, absl::ZeroDuration(), day},
        std::tuple{"held_too_long", options.held_too_long, absl::Seconds(1), day},
        std::tuple{"connect_timeout", options.connect_timeout, absl::Milliseconds(1), day},
        std::tuple{"query_timeout", options.query_timeout, absl::Seconds(1), day},
        std::tuple{"lock_wait_timeout", options.lock_wait_timeout, absl::Seconds(1), day},
        std::tuple{"idle_timeout", options.idle_timeout, absl::Seconds(1), day},
        std::tuple{"slow_statement", options.slow_statement, absl::Milliseconds(1), day}}) {
    if (absl::Status status = Within(field, value, least, most); !status.ok()) return status;
  }
  if (options.lock_wait_timeout > options.query_timeout) {
    return Fault("query_timeout",
                 absl::StrCat(absl::FormatDuration(options.query_timeout),
                              " would end a wait for a lock before lock_wait_timeout (",
                              absl::FormatDuration(options.lock_wait_timeout),
                              ") does; it must not be below that"));
  }
  return absl::OkStatus();
}

}  // namespace

std::string Endpoint::ToString() const {
  return socket.empty() ? absl::StrCat(host, ":", port) : socket;
}

absl::Status DatabaseOptions::Validate() const {
  if (absl::Status status = CheckEndpoints(endpoints); !status.ok()) return status;
  if (database.empty() || database.size() > 64) {
    return Fault("database", "a name of 1 to 64 bytes is needed");
  }
  if (user.empty()) return Fault("user", "must not be empty");
  if (!password.empty() && !password_file.empty()) {
    return Fault("password_file", "give either a password or a password file");
  }
  const bool verifies = ssl_mode == SslMode::kVerifyCa || ssl_mode == SslMode::kVerifyIdentity;
  if (verifies && ssl_ca.empty()) {
    return Fault("ssl_ca", "verifying the server's certificate needs the authority's file");
  }
  if (pool_size < 1 || pool_size > 1000) return Fault("pool_size", "must be 1 to 1000");
  if (max_overflow < 0 || max_overflow > 1000) return Fault("max_overflow", "must be 0 to 1000");
  if (absl::Status status = CheckTimes(*this); !status.ok()) return status;
  const std::string level = absl::AsciiStrToUpper(isolation_level);
  if (level != "READ COMMITTED" && level != "REPEATABLE READ" && level != "SERIALIZABLE") {
    return Fault("isolation_level",
                 "must be READ COMMITTED (best here), REPEATABLE READ or SERIALIZABLE");
  }
  if (absl::Status status = breaker.Validate(); !status.ok()) {
    return Fault("breaker", status.message());
  }
  return absl::OkStatus();
}

}  // namespace holdfast::mysql
