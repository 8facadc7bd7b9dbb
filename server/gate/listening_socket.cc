#include "server/gate/listening_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"

#include "server/base/status_macros.h"

namespace holdfast::gate {
namespace {

constexpr int kBacklog = 128;

absl::Status SystemError(absl::string_view operation, const ListenAddress& address,
                         absl::string_view remedy) {
  const int error = errno;
  return absl::UnavailableError(absl::StrCat("cannot ", operation, " ", address.ToString(), ": ",
                                             std::strerror(error), "; ", remedy));
}

// Makes the folder of a socket, for its owner and group alone.
absl::Status MakeFolder(const ListenAddress& address) {
  const std::filesystem::path folder = std::filesystem::path(address.socket_path).parent_path();
  std::error_code error;
  if (!std::filesystem::create_directories(folder, error)) {
    if (!error) return absl::OkStatus();  // It was there; its mode is its owner's decision.
  } else if (::chmod(folder.c_str(), 0750) == 0) {
    return absl::OkStatus();
  } else {
    error = std::error_code(errno, std::generic_category());
  }
  return absl::UnavailableError(absl::StrCat("cannot make the folder ", folder.string(), ": ",
                                             error.message(), "; make it, writable for this user"));
}

// Removes what an earlier process left, if it is certain that nobody listens there.
absl::Status RemoveStale(const ListenAddress& address) {
  struct stat found {};
  if (::lstat(address.socket_path.c_str(), &found) != 0) {
    return errno == ENOENT ? absl::OkStatus()
                           : SystemError("look at", address, "check the folder's permissions");
  }
  HOLDFAST_RETURN_IF_ERROR(ListeningSocket::CheckPlace(address));
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return SystemError("probe", address, "raise the limit on open files");
  SocketAddress name = address.ToSocketAddress();
  const int result = ::connect(probe, name.get(), name.length);
  const int error = result == 0 ? 0 : errno;
  ::close(probe);
  if (error != ECONNREFUSED) {
    return absl::FailedPreconditionError(
        absl::StrCat(address.ToString(),
                     " is in use: another process listens there; stop it or listen elsewhere"));
  }
  if (::unlink(address.socket_path.c_str()) != 0) {
    return SystemError("remove the stale socket", address, "check the folder's permissions");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ListeningSocket::CheckPlace(const ListenAddress& address) {
  if (!address.is_unix()) return absl::OkStatus();
  struct stat found {};
  if (::lstat(address.socket_path.c_str(), &found) == 0) {
    if (S_ISSOCK(found.st_mode)) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat(address.socket_path, " exists and is ",
                     S_ISDIR(found.st_mode) ? "a folder" : "a file that is no socket",
                     "; move it away, or listen at a path of its own"));
  }
  if (errno == ENOTDIR) {
    return absl::FailedPreconditionError(
        absl::StrCat(address.socket_path, " lies in what is no folder; listen elsewhere"));
  }
  return absl::OkStatus();
}

absl::Status ListeningSocket::BindUnix() {
  HOLDFAST_RETURN_IF_ERROR(MakeFolder(address_));
  HOLDFAST_RETURN_IF_ERROR(RemoveStale(address_));
  descriptor_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor_ < 0) return SystemError("open", address_, "raise the limit on open files");
  SocketAddress name = address_.ToSocketAddress();
  if (::bind(descriptor_, name.get(), name.length) != 0) {
    return SystemError("bind", address_, "check that this user may write to the folder");
  }
  struct stat made {};
  if (::chmod(address_.socket_path.c_str(), 0660) != 0 ||
      ::stat(address_.socket_path.c_str(), &made) != 0) {
    return SystemError("set the mode of", address_, "check the file system");
  }
  inode_ = made.st_ino;
  return absl::OkStatus();
}

absl::Status ListeningSocket::BindTcp() {
  descriptor_ = ::socket(address_.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor_ < 0) return SystemError("open", address_, "is this address family available?");
  const int yes = 1;
  ::setsockopt(descriptor_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  SocketAddress name = address_.ToSocketAddress();
  if (::bind(descriptor_, name.get(), name.length) != 0) {
    return SystemError("bind", address_,
                       "the address must be this machine's, and no other process may listen there");
  }
  if (::getsockname(descriptor_, name.get(), &name.length) != 0) {
    return SystemError("read the port of", address_, "try a fixed port");
  }
  address_.port = name.port();
  return absl::OkStatus();
}

absl::StatusOr<ListeningSocket> ListeningSocket::Open(const ListenAddress& address) {
  ListeningSocket socket;
  socket.address_ = address;
  HOLDFAST_RETURN_IF_ERROR(address.is_unix() ? socket.BindUnix() : socket.BindTcp());
  if (::listen(socket.descriptor_, kBacklog) != 0) {
    return SystemError("listen on", address, "is another process listening there?");
  }
  return socket;
}

ListeningSocket::ListeningSocket(ListeningSocket&& other) noexcept
    : address_(std::move(other.address_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      inode_(std::exchange(other.inode_, 0)) {}

ListeningSocket::~ListeningSocket() {
  RemoveFile();
  if (descriptor_ >= 0) ::close(descriptor_);
}

void ListeningSocket::RemoveFile() {
  struct stat found {};
  if (inode_ != 0 && ::lstat(address_.socket_path.c_str(), &found) == 0 && found.st_ino == inode_) {
    ::unlink(address_.socket_path.c_str());
  }
  inode_ = 0;
}

}  // namespace holdfast::gate
