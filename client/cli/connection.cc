#include "client/cli/connection.h"

#include <stdlib.h>

#include <iostream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "client/tls.h"

namespace holdfast::client {
namespace {

constexpr char kDefaultAddress[] = "unix:/run/holdfast/holdfast.sock";

std::string Variable(const std::string& name, absl::string_view otherwise) {
  const char* value = getenv(name.c_str());
  return value != nullptr && *value != '\0' ? value : std::string(otherwise);
}

// --tls_x, else HOLDFAST_TLS_X. An empty flag is most likely a shell's variable that is not set: it
// must not turn TLS off.
absl::Status Read(const Arguments& arguments, absl::string_view flag, std::string* value) {
  *value =
      arguments.Get(flag, Variable(absl::StrCat("HOLDFAST_", absl::AsciiStrToUpper(flag)), ""));
  if (!arguments.Has(flag) || !value->empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--", flag, " is empty; give it a value"));
}

}  // namespace

const std::vector<Flag>& TlsFlags() {
  static const auto& flags = *new std::vector<Flag>{
      {.name = "tls_ca_file",
       .value = "FILE",
       .help = "For a daemon that listens with TLS: the authorities that vouch for its "
               "certificate, PEM. Default: $HOLDFAST_TLS_CA_FILE, else no TLS",
       .kind = WordKind::kFile},
      {.name = "tls_client_cert_file",
       .value = "FILE",
       .help = "The certificate to show it, PEM. Default: $HOLDFAST_TLS_CLIENT_CERT_FILE",
       .kind = WordKind::kFile},
      {.name = "tls_client_key_file",
       .value = "FILE",
       .help = "The certificate's key, PEM. Default: $HOLDFAST_TLS_CLIENT_KEY_FILE",
       .kind = WordKind::kFile},
      {.name = "tls_server_name",
       .value = "NAME",
       .help =
           "The name to expect in the daemon's certificate, where that is not the host of --to. "
           "Default: $HOLDFAST_TLS_SERVER_NAME"},
  };
  return flags;
}

absl::StatusOr<Connection> ConnectionOf(const Arguments& arguments) {
  Connection connection;
  connection.address = arguments.Get("to", Variable("HOLDFAST_LISTEN", kDefaultAddress));
  TlsOptions& tls = connection.tls;
  absl::Status status = Read(arguments, "tls_ca_file", &tls.ca_file);
  status.Update(Read(arguments, "tls_client_cert_file", &tls.client_cert_file));
  status.Update(Read(arguments, "tls_client_key_file", &tls.client_key_file));
  status.Update(Read(arguments, "tls_server_name", &tls.server_name));
  status.Update(tls.Validate(connection.address));
  if (!status.ok()) return status;
  return connection;
}

std::string UnreachableAdvice(const Connection& connection) {
  std::string advice =
      absl::StrCat("Is holdfastd running, and does it listen at ", connection.address,
                   "? Its setting is HOLDFAST_LISTEN; --to=ADDRESS names another place.");
  if (!connection.tls.enabled() && !absl::StartsWith(connection.address, "unix:")) {
    absl::StrAppend(&advice,
                    " If it listens with TLS, --tls_ca_file, --tls_client_cert_file and "
                    "--tls_client_key_file are needed.");
  }
  return advice;
}

int TellUnreachable(absl::string_view command, const Connection& connection,
                    const absl::Status& failure) {
  const absl::Status cause = ExplainTls(connection.tls, connection.address, failure);
  std::cerr << "holdfast " << command << ": no answer from " << connection.address << ": "
            << cause.message() << "\n";
  // That one has its remedy in it.
  if (!absl::IsUnauthenticated(cause)) std::cerr << UnreachableAdvice(connection) << "\n";
  return UnreachableCode(connection);
}

int UnreachableCode(const Connection& connection) {
  const bool is_usable = !connection.tls.enabled() || ReadTls(connection.tls).ok();
  return is_usable ? kExitUnavailable : kExitNoInput;
}

}  // namespace holdfast::client
