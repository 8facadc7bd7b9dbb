// A socket that listens at a ListenAddress.

#pragma once

#include <sys/types.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "server/gate/listen_address.h"

namespace holdfast::gate {

// Move-only; closes the socket and removes its file. Not thread-safe.
class ListeningSocket final {
 public:
  // Binds and listens. For a Unix socket makes the folder (0750) if it is missing, replaces a file
  // that nobody listens on, and sets the mode 0660. FAILED_PRECONDITION if somebody listens there
  // or the file is no socket; UNAVAILABLE for what the system refuses.
  static absl::StatusOr<ListeningSocket> Open(const ListenAddress& address);

  // FAILED_PRECONDITION if there is something in a Unix socket's place that is no socket, or its
  // folder cannot be one. Changes nothing; what is missing is made by Open.
  static absl::Status CheckPlace(const ListenAddress& address);

  ListeningSocket(ListeningSocket&& other) noexcept;
  ListeningSocket& operator=(ListeningSocket&& other) = delete;
  ~ListeningSocket();

  // With the port that the system chose if 0 was asked for.
  const ListenAddress& address() const { return address_; }
  int descriptor() const { return descriptor_; }

  // Removes the socket file, unless it is another process's by now. Idempotent.
  void RemoveFile();

 private:
  ListeningSocket() = default;
  absl::Status BindUnix();
  absl::Status BindTcp();

  ListenAddress address_;
  int descriptor_ = -1;
  ino_t inode_ = 0;  // Of the socket file that we made.
};

}  // namespace holdfast::gate
