#include "server/admin/http_server.h"

#include <CivetServer.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"

#include "server/base/log.h"

namespace holdfast::admin {
namespace {

// The library's own complaints: mostly clients that went away.
int LogMessage(const mg_connection* /*connection*/, const char* message) {
  base::LogDebug("http server", {{"message", message}});
  return 1;  // It need not log as well.
}

absl::string_view ReasonOf(int code) {
  switch (code) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 503:
      return "Service Unavailable";
    default:
      return "Internal Server Error";
  }
}

// The library has a null pointer for what was not sent.
std::string TextOf(const char* text) { return text == nullptr ? "" : text; }

void Send(mg_connection* connection, const Page& page, bool with_body) {
  const std::string head = absl::StrCat(
      "HTTP/1.1 ", page.code, " ", ReasonOf(page.code), "\r\nContent-Type: ", page.type,
      "\r\nContent-Length: ", page.body.size(), page.code == 405 ? "\r\nAllow: GET, HEAD" : "",
      "\r\nContent-Security-Policy: ", page.content_security_policy,
      "\r\nCache-Control: no-store\r\nVary: Accept\r\nX-Content-Type-Options: nosniff"
      "\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n");
  mg_write(connection, head.data(), head.size());
  if (with_body) mg_write(connection, page.body.data(), page.body.size());
}

// Connects to our own listener and leaves again. Whether that works does not matter.
void Knock(const HttpAddress& address) {
  const bool is_six = address.host.front() == '[';
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(static_cast<uint16_t>(address.port));
  inet_pton(AF_INET6, address.host.substr(1, address.host.size() - 2).c_str(), &six.sin6_addr);
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = htons(static_cast<uint16_t>(address.port));
  inet_pton(AF_INET, address.host.c_str(), &four.sin_addr);
  const int knock = ::socket(is_six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (knock < 0) return;
  const auto* name =
      is_six ? reinterpret_cast<const sockaddr*>(&six) : reinterpret_cast<const sockaddr*>(&four);
  // To an address of all, Linux connects as to the loopback.
  [[maybe_unused]] const int connected = ::connect(knock, name, is_six ? sizeof six : sizeof four);
  ::close(knock);
}

}  // namespace

std::string HttpAddress::ToString() const { return absl::StrCat(host, ":", port); }

absl::StatusOr<HttpAddress> ParseHttpAddress(absl::string_view text) {
  const size_t colon = text.rfind(':');
  HttpAddress address;
  if (colon == absl::string_view::npos ||
      !absl::SimpleAtoi(text.substr(colon + 1), &address.port) || address.port < 0 ||
      address.port > 65535) {
    return absl::InvalidArgumentError(
        "expected address:port with a port from 0 (any free one) to 65535, as in 0.0.0.0:9464");
  }
  address.host = std::string(text.substr(0, colon));
  if (address.host.empty()) address.host = "0.0.0.0";
  in6_addr parsed{};
  const bool is_six =
      address.host.size() > 2 && address.host.front() == '[' && address.host.back() == ']' &&
      inet_pton(AF_INET6, address.host.substr(1, address.host.size() - 2).c_str(), &parsed) == 1;
  if (!is_six && inet_pton(AF_INET, address.host.c_str(), &parsed) != 1) {
    return absl::InvalidArgumentError(
        "expected a numeric address of this machine, as in 0.0.0.0:9464, 127.0.0.1:9464 or "
        "[::]:9464");
  }
  return address;
}

// One for every path: what is served is decided in Pages.
class HttpServer::Handler final : public CivetHandler {
 public:
  explicit Handler(Pages& pages) : pages_(pages) {}

  using CivetHandler::handleDelete;
  using CivetHandler::handleGet;
  using CivetHandler::handleHead;
  using CivetHandler::handleOptions;
  using CivetHandler::handlePatch;
  using CivetHandler::handlePost;
  using CivetHandler::handlePut;

  bool handleGet(CivetServer* /*server*/, mg_connection* connection) override {
    return Serve(connection, true);
  }
  bool handleHead(CivetServer* /*server*/, mg_connection* connection) override {
    return Serve(connection, false);
  }
  bool handlePost(CivetServer* /*server*/, mg_connection* connection) override {
    return Refuse(connection);
  }
  bool handlePut(CivetServer* /*server*/, mg_connection* connection) override {
    return Refuse(connection);
  }
  bool handleDelete(CivetServer* /*server*/, mg_connection* connection) override {
    return Refuse(connection);
  }
  bool handleOptions(CivetServer* /*server*/, mg_connection* connection) override {
    return Refuse(connection);
  }
  bool handlePatch(CivetServer* /*server*/, mg_connection* connection) override {
    return Refuse(connection);
  }

 private:
  bool Serve(mg_connection* connection, bool with_body) {
    PageRequest asked;
    if (const mg_request_info* request = mg_get_request_info(connection); request != nullptr) {
      asked.path = TextOf(request->local_uri);
      asked.query = TextOf(request->query_string);
    }
    asked.accept = TextOf(mg_get_header(connection, "Accept"));
    Send(connection, pages_.Get(asked), with_body);
    return true;
  }
  static bool Refuse(mg_connection* connection) {
    Send(connection, {405, "text/plain; charset=utf-8", "Only GET and HEAD are answered.\n"}, true);
    return true;
  }

  Pages& pages_;
};

struct HttpServer::Civet {
  Civet(const std::vector<std::string>& options, const CivetCallbacks& callbacks)
      : server(options, &callbacks) {}
  CivetServer server;
};

HttpServer::HttpServer() = default;

HttpServer::~HttpServer() {
  if (civet_ == nullptr) return;
  // The library looks every two seconds whether it is to stop, or when somebody knocks.
  absl::Notification stopped;
  std::thread knocking([this, &stopped] {
    do {
      Knock(address_);
    } while (!stopped.WaitForNotificationWithTimeout(absl::Milliseconds(10)));
  });
  civet_.reset();
  stopped.Notify();
  knocking.join();
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpOptions& options,
                                                              Pages& pages) {
  const std::string timeout = absl::StrCat(options.request_timeout_milliseconds);
  const std::vector<std::string> civet_options = {"listening_ports",
                                                  options.listen.ToString(),
                                                  "num_threads",
                                                  absl::StrCat(options.threads),
                                                  "request_timeout_ms",
                                                  timeout,
                                                  "max_request_size",
                                                  "8192",
                                                  "enable_keep_alive",
                                                  "no",
                                                  "enable_directory_listing",
                                                  "no"};
  CivetCallbacks callbacks;
  callbacks.log_message = LogMessage;
  auto server = std::unique_ptr<HttpServer>(new HttpServer);
  server->address_ = options.listen;
  server->handler_ = std::make_unique<Handler>(pages);
  // The library's constructor is the one thing here that reports by throwing.
  try {
    server->civet_ = std::make_unique<Civet>(civet_options, callbacks);
  } catch (const CivetException& failure) {
    return absl::UnavailableError(absl::StrCat("cannot serve HTTP on ", options.listen.ToString(),
                                               ": ", failure.what(), "; is the port in use?"));
  }
  const std::vector<int> ports = server->civet_->server.getListeningPorts();
  if (!ports.empty()) server->address_.port = ports.front();
  server->civet_->server.addHandler("/", server->handler_.get());
  return server;
}

}  // namespace holdfast::admin
