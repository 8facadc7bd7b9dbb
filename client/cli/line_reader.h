// Lines of a file or of standard input, each of bounded length.

#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace holdfast::client {

// Not thread-safe.
class LineReader final {
 public:
  enum class Read {
    kLine,
    kTooLong,  // Longer than the limit, and passed over.
    kEnd,      // Nothing is left; or status() says why nothing more can be read.
    kStopped,  // Asked for by StopAt; what was read of a line is not one.
  };

  // "-" is standard input. NotFound if the file cannot be opened.
  static absl::StatusOr<std::unique_ptr<LineReader>> Open(const std::string& path,
                                                          size_t line_bytes_max);
  ~LineReader();

  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  // Reads no more, and waits no more, once `descriptor` can be read, which stays its owner's.
  void StopAt(int descriptor) { stop_ = descriptor; }

  // The next line, without its end and, if it is the first, without a byte order mark.
  Read Next(std::string* line);

  // Not OK once reading has failed: what follows was not read.
  const absl::Status& status() const { return status_; }

 private:
  enum class More { kRead, kEnd, kStopped };

  LineReader(int file, std::string path, size_t line_bytes_max);

  // Fills the buffer anew.
  More Fill();

  const int file_;
  const std::string path_;
  const size_t line_bytes_max_;
  int stop_ = -1;  // poll passes over it.
  std::vector<char> buffer_;
  absl::string_view unread_;  // In buffer_.
  bool first_ = true;
  absl::Status status_;
};

}  // namespace holdfast::client
