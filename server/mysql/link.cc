#include "server/mysql/link.h"

#include <mysql.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>

#include "absl/base/call_once.h"
#include "absl/strings/str_cat.h"

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/mysql/errors.h"

namespace holdfast::mysql {
namespace {

// A password file larger than this is not one.
constexpr size_t kPasswordBytesMax = 4096;

// The end of the call that this thread is in, on the system's steady clock: the waits are the
// kernel's.
thread_local absl::Time call_deadline = absl::InfiniteFuture();

// The library asks this, instead of poll, to wait for its socket. Its own idea of how long is
// passed over: the deadline of the call decides, and around TLS the library takes its seconds for
// milliseconds.
int Await(my_socket socket, my_bool is_read, int /*timeout_ms*/) {
  pollfd wait = {socket, static_cast<short>(is_read ? POLLIN : POLLOUT), 0};
  while (true) {
    const absl::Duration left =
        std::max(call_deadline - base::SystemClock().Steady(), absl::ZeroDuration());
    const int ready =
        poll(&wait, 1,
             static_cast<int>(absl::ToInt64Milliseconds(absl::Ceil(left, absl::Milliseconds(1)))));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) errno = ETIMEDOUT;
    return ready;
  }
}

unsigned WholeSeconds(absl::Duration duration) {
  return static_cast<unsigned>(
      std::max<int64_t>(1, absl::ToInt64Seconds(absl::Ceil(duration, absl::Seconds(1)))));
}

void ConfigureTls(const DatabaseOptions& options, const Endpoint& endpoint, st_mysql* link) {
  // A unix socket does not leave the machine: encrypting it is only done when asked for.
  const bool wanted = options.ssl_mode >= SslMode::kRequired ||
                      (options.ssl_mode == SslMode::kPreferred && endpoint.socket.empty());
  const my_bool use_tls = wanted;
  const my_bool verify = options.ssl_mode >= SslMode::kVerifyCa;
  mysql_options(link, MYSQL_OPT_SSL_ENFORCE, &use_tls);
  mysql_options(link, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
  if (wanted && !options.ssl_ca.empty()) {
    mysql_options(link, MYSQL_OPT_SSL_CA, options.ssl_ca.c_str());
  }
}

absl::Status PasswordFault(const DatabaseOptions& options, absl::string_view what) {
  DatabaseError error;
  error.verdict = flow::Verdict::kOutage;
  return ToStatus(absl::StrCat("the password file ", options.password_file, " ", what), error);
}

}  // namespace

CallDeadline::CallDeadline(absl::Duration timeout) {
  HOLDFAST_CHECK(call_deadline == absl::InfiniteFuture());
  call_deadline = base::SystemClock().Steady() + timeout;
}

CallDeadline::~CallDeadline() { call_deadline = absl::InfiniteFuture(); }

st_mysql* NewLink() {
  static absl::once_flag once;
  absl::call_once(once, [] { HOLDFAST_CHECK(mysql_library_init(0, nullptr, nullptr) == 0); });
  st_mysql* link = mysql_init(nullptr);
  HOLDFAST_CHECK(link != nullptr);
  return link;
}

void ConfigureLink(const DatabaseOptions& options, const Endpoint& endpoint, st_mysql* link) {
  const my_bool off = 0;
  const unsigned no_local_infile = 0;
  const unsigned connect_seconds = WholeSeconds(options.connect_timeout);
  const unsigned query_seconds = WholeSeconds(options.query_timeout + kServerSaysSo);
  const unsigned protocol = endpoint.socket.empty() ? MYSQL_PROTOCOL_TCP : MYSQL_PROTOCOL_SOCKET;
  mysql_options(link, MYSQL_OPT_CONNECT_TIMEOUT, &connect_seconds);
  mysql_options(link, MYSQL_OPT_READ_TIMEOUT, &query_seconds);
  mysql_options(link, MYSQL_OPT_WRITE_TIMEOUT, &query_seconds);
  mysql_options(link, MARIADB_OPT_IO_WAIT, reinterpret_cast<const void*>(&Await));
  mysql_options(link, MYSQL_OPT_RECONNECT, &off);
  mysql_options(link, MYSQL_OPT_LOCAL_INFILE, &no_local_infile);
  mysql_options(link, MYSQL_OPT_PROTOCOL, &protocol);  // "localhost" does not mean a socket to us.
  mysql_options(link, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  mysql_options4(link, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "holdfastd");
  ConfigureTls(options, endpoint, link);
}

absl::StatusOr<std::string> CurrentPassword(const DatabaseOptions& options) {
  if (options.password_file.empty()) return options.password;
  std::ifstream file(options.password_file, std::ios::binary);
  if (!file) return PasswordFault(options, "cannot be opened");
  std::string password(kPasswordBytesMax + 1, '\0');
  file.read(password.data(), static_cast<std::streamsize>(password.size()));
  password.resize(static_cast<size_t>(file.gcount()));
  if (file.bad()) return PasswordFault(options, "cannot be read");
  if (password.size() > kPasswordBytesMax) return PasswordFault(options, "is too large");
  while (!password.empty() && (password.back() == '\n' || password.back() == '\r')) {
    password.pop_back();
  }
  return password;
}

}  // namespace holdfast::mysql
