// holdfastd as a process, without a database.

#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "holdfast/v1/ingest.grpc.pb.h"

namespace holdfast::test {

// How a process ended.
struct Ended {
  int code = -1;     // Its exit code, or -1 if a signal ended it (or it did not end in time).
  std::string log;   // What it wrote to standard error.
  std::string text;  // And to standard output.
};

// A folder with a journal and a socket, and at most one daemon on it. Every wait ends after a
// while.
class RunningDaemon final {
 public:
  RunningDaemon();
  ~RunningDaemon();  // Kills what runs; removes the folder.

  RunningDaemon(const RunningDaemon&) = delete;
  RunningDaemon& operator=(const RunningDaemon&) = delete;

  // In force from the next start on.
  void Set(const std::string& name, const std::string& value) { environment_[name] = value; }

  // Starts it; true once it is ready.
  bool Start(const std::vector<std::string>& flags = {});
  // Starts it and waits for its end.
  Ended Run(const std::vector<std::string>& flags);

  void Signal(int signal) const;
  Ended AwaitEnd();

  // One request to the admin port: all of the answer.
  std::string Get(const std::string& path) const;
  bool AwaitAnswer(const std::string& path, const std::string& start) const;

  std::unique_ptr<v1::IngestService::Stub> NewStub() const;

  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path journal() const { return folder_ / "journal"; }
  std::string Log() const;

 private:
  void Spawn(const std::vector<std::string>& flags);

  std::filesystem::path folder_;
  std::map<std::string, std::string> environment_;
  pid_t pid_ = 0;
};

}  // namespace holdfast::test
