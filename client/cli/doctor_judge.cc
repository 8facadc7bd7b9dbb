#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"

#include "client/cli/doctor.h"
#include "client/tls.h"

namespace holdfast::client {
namespace {

v1::Finding Make(v1::FindingLevel level, absl::string_view check, absl::string_view found,
                 absl::string_view meaning, absl::string_view remedy) {
  v1::Finding finding;
  finding.set_check(std::string(check));
  finding.set_level(level);
  finding.set_found(std::string(found));
  finding.set_meaning(std::string(meaning));
  finding.set_remedy(std::string(remedy));
  return finding;
}

v1::Finding Unreachable(absl::string_view found, absl::string_view meaning,
                        absl::string_view remedy) {
  return Make(v1::FINDING_LEVEL_PROBLEM, "daemon", found, meaning, remedy);
}

// The system's error for connecting to a Unix socket; 0 if that works.
int ErrorOfConnecting(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return ENAMETOOLONG;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int failed = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const int error = failed == 0 ? 0 : errno;
  close(fd);
  return error;
}

constexpr char kStart[] =
    "start holdfastd (its log says why it ended), or name the place where it listens: --to, "
    "HOLDFAST_LISTEN";

}  // namespace

v1::Finding JudgeUnreachable(const Connection& connection, const absl::Status& status) {
  const std::string& address = connection.address;
  absl::string_view path = address;
  if (absl::ConsumePrefix(&path, "unix:")) {
    if (absl::StartsWith(path, "//")) path.remove_prefix(2);
    switch (ErrorOfConnecting(std::string(path))) {
      case ENOENT:
        return Unreachable(absl::StrCat("there is no socket ", path),
                           "no daemon listens there; gateways cannot deliver events", kStart);
      case ECONNREFUSED:
        return Unreachable(absl::StrCat("nobody listens behind the socket ", path),
                           "the daemon has ended; gateways cannot deliver events", kStart);
      case EACCES:
        return Unreachable(absl::StrCat("this user may not connect to ", path),
                           "the daemon may run; whether it does cannot be seen",
                           "run the doctor as the daemon's user or one of the socket's group; see "
                           "the rights of its folder");
      default:
        break;
    }
  }
  const absl::Status cause = ExplainTls(connection.tls, address, status);
  if (absl::IsUnauthenticated(cause)) {
    return Unreachable(cause.message(),
                       "this tool cannot speak with the daemon; a gateway with the "
                       "same files could not either",
                       "mend what is named above");
  }
  return Unreachable(
      absl::StrCat("no answer from ", address, ": ", std::string(cause.message())),
      "the daemon does not run, does not listen there, hangs, or turns this connection away "
      "(HOLDFAST_ALLOWED_UIDS, TLS with client certificates)",
      connection.tls.enabled() || absl::StartsWith(address, "unix:")
          ? kStart
          : absl::StrCat(kStart, "; for one that listens with TLS, --tls_ca_file and the like"));
}

std::vector<v1::Finding> JudgeProbeSent(const ProbeSent& sent) {
  std::vector<v1::Finding> findings;
  const auto after = [](absl::Duration duration) {
    return absl::StrFormat("%.1f ms", absl::ToDoubleMilliseconds(duration));
  };
  if (sent.journaled.ok()) {
    findings.push_back(
        Make(v1::FINDING_LEVEL_OK, "write journaled",
             absl::StrCat("on the daemon's disk after ", after(sent.journaled_after)), "", ""));
  } else {
    findings.push_back(Make(v1::FINDING_LEVEL_PROBLEM, "write journaled",
                            std::string(sent.journaled.message()), "a gateway's event is not taken",
                            "see \"readiness\" and \"journal\" below"));
  }
  if (sent.committed.ok()) {
    findings.push_back(Make(v1::FINDING_LEVEL_OK, "write committed",
                            absl::StrCat("in the database after ", after(sent.committed_after)), "",
                            ""));
  } else {
    findings.push_back(
        Make(v1::FINDING_LEVEL_PROBLEM, "write committed", std::string(sent.committed.message()),
             absl::IsDeadlineExceeded(sent.committed)
                 ? "events do not get into the database; they wait in the journal, as this one does"
                 : "a gateway's event does not get into the database",
             "see the problems above, and \"lock waits\", \"readiness\" and \"lanes\" below"));
  }
  return findings;
}

}  // namespace holdfast::client
