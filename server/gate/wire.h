// The connection to a peer: bytes in, bytes out, as they are or through TLS.

#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace holdfast::gate {

// How a call on a Wire went. `bytes` are those that it moved; 0 with nothing else set means that it
// would have had to wait.
struct Moved {
  size_t bytes = 0;
  bool ended = false;   // The peer sends nothing more.
  bool broken = false;  // The connection is of no use any more.
};

// Never blocks. Not thread-safe. Owns the descriptor.
class Wire {
 public:
  virtual ~Wire() = default;

  // True once bytes may be moved; false while it has to wait. FAILED_PRECONDITION if the peer is
  // refused, with the reason.
  virtual absl::StatusOr<bool> Handshake() = 0;

  virtual Moved Read(absl::Span<char> into) = 0;
  virtual Moved Write(absl::string_view bytes) = 0;

  // Whether bytes have come that the descriptor does not tell of any more.
  virtual bool HasRead() const = 0;
  // Whether it has something to send of its own.
  virtual bool WantsToWrite() const = 0;

  virtual int descriptor() const = 0;
};

std::unique_ptr<Wire> MakePlainWire(int descriptor);

// The server's side of TLS. `names` empty, or one of them has to be in the peer's certificate, as a
// DNS name or a URI. `context` must be one of LoadTls.
std::unique_ptr<Wire> MakeTlsWire(int descriptor, SSL_CTX* context, std::vector<std::string> names);

}  // namespace holdfast::gate
