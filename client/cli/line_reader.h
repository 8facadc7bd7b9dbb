// Lines of a file or of standard input, each of bounded length.

#pragma once

#include <cstddef>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace holdfast::client {

// Not thread-safe.
class LineReader final {
 public:
  enum class Read {
    kLine,
    kTooLong,  // Longer than the limit, and passed over.
    kEnd,      // Nothing is left; or status() says why nothing more can be read.
  };

  // "-" is standard input. NotFound if the file cannot be opened.
  static absl::StatusOr<LineReader> Open(const std::string& path, size_t line_bytes_max);

  // The next line, without its end and, if it is the first, without a byte order mark.
  Read Next(std::string* line);

  // Not OK once reading has failed: what follows was not read.
  const absl::Status& status() const { return status_; }

 private:
  struct Closer {
    void operator()(std::FILE* file) const {
      if (file != stdin) std::fclose(file);
    }
  };

  LineReader(std::FILE* file, std::string path, size_t line_bytes_max)
      : file_(file), path_(std::move(path)), line_bytes_max_(line_bytes_max) {}

  std::unique_ptr<std::FILE, Closer> file_;
  std::string path_;
  size_t line_bytes_max_;
  bool first_ = true;
  absl::Status status_;
};

}  // namespace holdfast::client
