#include "server/gate/admission.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace holdfast::gate {
namespace {

// Peers that are remembered for their debts alone.
constexpr size_t kDebtorsMax = 1024;

absl::Status NotTold() {
  return absl::UnavailableError(
      absl::StrCat("the system does not tell who the peer is: ", std::strerror(errno)));
}

}  // namespace

absl::StatusOr<Peer> PeerOf(int connection) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getpeername(connection, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return NotTold();
  }
  Peer peer;
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    const auto& four = reinterpret_cast<const sockaddr_in&>(address);
    peer.key = ::inet_ntop(AF_INET, &four.sin_addr, text, sizeof text);
  } else if (address.ss_family == AF_INET6) {
    const auto& six = reinterpret_cast<const sockaddr_in6&>(address);
    peer.key = ::inet_ntop(AF_INET6, &six.sin6_addr, text, sizeof text);
  } else {
    ucred credentials{};
    length = sizeof credentials;
    if (::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
      return NotTold();
    }
    peer.has_uid = true;
    peer.uid = credentials.uid;
    peer.is_ours = credentials.pid == ::getpid();
    peer.key = absl::StrCat("uid ", credentials.uid);
  }
  return peer;
}

absl::Status Admission::Enter(const Peer& peer) {
  const auto& allowed = options_.allowed_uids;
  if (peer.has_uid && !allowed.empty() && peer.uid != ::geteuid() &&
      std::find(allowed.begin(), allowed.end(), peer.uid) == allowed.end()) {
    return absl::PermissionDeniedError(
        "this user may not connect; HOLDFAST_ALLOWED_UIDS says who may");
  }
  // Our own question always enters: being full is no reason to be taken for dead.
  if (!peer.is_ours) {
    if (connections_ >= options_.connections_max) {
      return absl::ResourceExhaustedError(
          "there are too many connections; HOLDFAST_CONNECTIONS_MAX says how many may be");
    }
    const auto found = known_.find(peer.key);
    if (found != known_.end() && found->second.connections >= options_.peer_connections_max) {
      return absl::ResourceExhaustedError(
          "this peer has too many connections; HOLDFAST_PEER_CONNECTIONS_MAX says how many it may "
          "have");
    }
  }
  ++connections_;
  Known& known = known_[peer.key];
  ++known.connections;
  if (known.allowance == nullptr) {
    known.allowance = std::make_shared<Allowance>(options_.conduct.peer_points,
                                                  options_.conduct.peer_points_per_second);
  }
  return absl::OkStatus();
}

void Admission::Leave(const std::string& key, absl::Time now) {
  --connections_;
  --known_[key].connections;
  if (known_.size() > kDebtorsMax || known_[key].allowance->at_rest(now)) ForgetThoseAtRest(now);
}

void Admission::ForgetThoseAtRest(absl::Time now) {
  const bool too_many = known_.size() > kDebtorsMax;
  absl::erase_if(known_, [&](const auto& entry) {
    const Known& known = entry.second;
    return known.connections == 0 && (too_many || known.allowance->at_rest(now));
  });
}

std::unique_ptr<Conduct> Admission::WatchOver(const std::string& key, absl::Time now) {
  return std::make_unique<Conduct>(options_.conduct, known_[key].allowance, &open_streams_, now);
}

}  // namespace holdfast::gate
