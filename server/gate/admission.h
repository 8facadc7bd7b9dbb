// Who may come in: how many connections there are, of whom, and what each peer has left to spend.

#pragma once

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "server/gate/conduct.h"

namespace holdfast::gate {

struct AdmissionOptions {
  // Connections at a time; each takes three file descriptors. A gateway's channel needs one. Beyond
  // it a new one is closed at once.
  int connections_max = 256;

  // Of those, the most of one user (Unix socket) or one address (TCP): one peer that opens too many
  // leaves room for the others.
  int peer_connections_max = 192;

  // Users who may connect to a Unix socket, by number, besides our own. Empty: all whom the
  // socket's mode (0660, in a folder of 0750) lets in.
  std::vector<uid_t> allowed_uids;

  // File descriptors that the rest of the process needs. Connections leave so many free, whatever
  // the system's limit is.
  int files_reserved = 128;

  ConductLimits conduct;
};

// A peer as the system knows it.
struct Peer {
  std::string key;       // "uid 1000", "127.0.0.1".
  bool has_uid = false;  // Connected to a Unix socket.
  uid_t uid = 0;
  bool is_ours = false;  // This process itself, which asks whether its door is open.
};

// The peer of a connection. UNAVAILABLE if the system does not tell.
absl::StatusOr<Peer> PeerOf(int connection);

// Not thread-safe.
class Admission {
 public:
  explicit Admission(AdmissionOptions options) : options_(std::move(options)) {}

  // OK, and the connection counts until Leave. PERMISSION_DENIED: a user who is not allowed.
  // RESOURCE_EXHAUSTED: there are too many connections, of this peer or at all.
  absl::Status Enter(const Peer& peer);
  void Leave(const std::string& key, absl::Time now);

  // Watches a connection of a peer that has entered.
  std::unique_ptr<Conduct> WatchOver(const std::string& key, absl::Time now);

  int connections() const { return connections_; }

 private:
  struct Known {
    int connections = 0;
    std::shared_ptr<Allowance> allowance;
  };
  void ForgetThoseAtRest(absl::Time now);

  const AdmissionOptions options_;
  int connections_ = 0;
  size_t open_streams_ = 0;
  absl::flat_hash_map<std::string, Known> known_;  // With connections, or debts.
};

}  // namespace holdfast::gate
