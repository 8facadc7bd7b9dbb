#include "client/cli/line_reader.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace holdfast::client {
namespace {

// What some editors write at the beginning of a file in UTF-8.
constexpr char kByteOrderMark[] = "\xEF\xBB\xBF";

constexpr size_t kBufferBytes = 64 << 10;

std::string Reason(int error) { return std::generic_category().message(error); }

}  // namespace

absl::StatusOr<std::unique_ptr<LineReader>> LineReader::Open(const std::string& path,
                                                             size_t line_bytes_max) {
  if (path == "-") {
    return absl::WrapUnique(new LineReader(STDIN_FILENO, "standard input", line_bytes_max));
  }
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  int error = file < 0 ? errno : 0;
  auto reader = absl::WrapUnique(new LineReader(file, path, line_bytes_max));
  struct stat about {};
  if (error == 0 && ::fstat(file, &about) == 0 && S_ISDIR(about.st_mode)) error = EISDIR;
  if (error != 0) {
    return absl::NotFoundError(absl::StrCat(path, " cannot be read (", Reason(error),
                                            "); is the name right, and may you read it?"));
  }
  return reader;
}

LineReader::LineReader(int file, std::string path, size_t line_bytes_max)
    : file_(file), path_(std::move(path)), line_bytes_max_(line_bytes_max), buffer_(kBufferBytes) {}

LineReader::~LineReader() {
  if (file_ > STDIN_FILENO) ::close(file_);
}

LineReader::Read LineReader::Next(std::string* line) {
  line->clear();
  bool any = false;
  bool too_long = false;
  bool whole = false;
  while (!whole) {
    if (unread_.empty()) {
      const More more = Fill();
      if (more == More::kStopped) return Read::kStopped;
      // If reading has failed the line may have been cut short: it is not one.
      if (more == More::kEnd && (!any || !status_.ok())) return Read::kEnd;
      if (more == More::kEnd) break;
    }
    any = true;
    const size_t end = unread_.find('\n');
    whole = end != absl::string_view::npos;
    const absl::string_view part = unread_.substr(0, end);
    unread_.remove_prefix(whole ? end + 1 : part.size());
    too_long = too_long || part.size() > line_bytes_max_ - line->size();
    if (!too_long) line->append(part.data(), part.size());
  }
  if (std::exchange(first_, false) && absl::StartsWith(*line, kByteOrderMark)) line->erase(0, 3);
  return too_long ? Read::kTooLong : Read::kLine;
}

LineReader::More LineReader::Fill() {
  while (true) {
    pollfd both[] = {{file_, POLLIN, 0}, {stop_, POLLIN, 0}};
    if (::poll(both, 2, -1) < 0 && errno != EINTR) {
      status_ =
          absl::InternalError(absl::StrCat(path_, " cannot be waited for (", Reason(errno), ")"));
      return More::kEnd;
    }
    if (both[1].revents != 0) return More::kStopped;
    if (both[0].revents == 0) continue;
    const ssize_t count = ::read(file_, buffer_.data(), buffer_.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      status_ =
          absl::DataLossError(absl::StrCat(path_, " cannot be read on (", Reason(errno), ")"));
    }
    if (count <= 0) return More::kEnd;
    unread_ = absl::string_view(buffer_.data(), static_cast<size_t>(count));
    return More::kRead;
  }
}

}  // namespace holdfast::client
