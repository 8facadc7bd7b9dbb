// What fuzzing has found so far, as plain tests: every file of corpus/<target>/ and
// crashes/<target>/ goes through its target, and so do some that are near them. One that breaks a
// promise ends the program; what it was is the last line printed.

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "server/base/log.h"
#include "tests/fuzz/targets.h"

namespace holdfast::fuzz {
namespace {

struct Target {
  const char* folder;
  void (*run)(absl::string_view input);
};

class CorpusTest : public ::testing::TestWithParam<Target> {};

std::string Contents(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::vector<std::filesystem::path> FilesIn(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  if (!std::filesystem::exists(folder)) return files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// The files of a target, the corpus first.
std::vector<std::filesystem::path> FilesOf(const Target& target) {
  const std::filesystem::path root = HOLDFAST_FUZZ_FOLDER;
  std::vector<std::filesystem::path> files = FilesIn(root / "corpus" / target.folder);
  EXPECT_GE(files.size(), 10u) << "the corpus is missing";
  for (std::filesystem::path& file : FilesIn(root / "crashes" / target.folder)) {
    files.push_back(std::move(file));
  }
  return files;
}

// One to four changes of a few bytes, some taken from `other`.
std::string Mutate(std::string input, const std::string& other, std::mt19937_64& random) {
  for (uint64_t changes = 1 + random() % 4; changes > 0; --changes) {
    const size_t at = random() % (input.size() + 1);
    const size_t length = random() % 9;
    switch (random() % 4) {
      case 0:
        if (at < input.size()) input[at] = static_cast<char>(random());
        break;
      case 1:
        input.erase(at, length);
        break;
      case 2:
        input.insert(at, other.substr(random() % (other.size() + 1), 4 * length));
        break;
      default:
        input.insert(at, length, static_cast<char>(random() % 2 == 0 ? 0 : random()));
        break;
    }
  }
  return input;
}

TEST_P(CorpusTest, NoInputThatWasEverOfInterestBreaksAPromise) {
  base::SetLogLevel(base::LogLevel::kError);
  for (const std::filesystem::path& file : FilesOf(GetParam())) {
    std::cout << file.string() << std::endl;
    const std::string input = Contents(file);
    GetParam().run(input);
    // And cut off in the middle: what no file on a disk or request on a wire is safe from.
    GetParam().run(absl::string_view(input).substr(0, input.size() / 2));
  }
  GetParam().run("");
}

// The real thing is tests/fuzz/run, which sees what each input reaches; this one needs no other
// build. HOLDFAST_FUZZ_SEED chooses other mutations, HOLDFAST_FUZZ_MUTATIONS how many.
TEST_P(CorpusTest, NorDoesAnyThatIsNearOne) {
  base::SetLogLevel(base::LogLevel::kError);
  const char* const seed_text = std::getenv("HOLDFAST_FUZZ_SEED");
  const char* const count_text = std::getenv("HOLDFAST_FUZZ_MUTATIONS");
  const uint64_t seed = seed_text == nullptr ? 1 : std::strtoull(seed_text, nullptr, 10);
  const uint64_t count = count_text == nullptr ? 300 : std::strtoull(count_text, nullptr, 10);
  const std::vector<std::filesystem::path> files = FilesOf(GetParam());
  for (uint64_t i = 0; i < count && !files.empty(); ++i) {
    std::mt19937_64 random(seed + i);
    std::cout << "HOLDFAST_FUZZ_SEED=" << seed + i << " HOLDFAST_FUZZ_MUTATIONS=1" << std::endl;
    const std::string input = Contents(files[random() % files.size()]);
    GetParam().run(Mutate(input, Contents(files[random() % files.size()]), random));
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, CorpusTest,
                         ::testing::Values(Target{"frames", Frames}, Target{"recovery", Recovery},
                                           Target{"events", Events}, Target{"config", Config},
                                           Target{"lines", Lines}),
                         [](const auto& target) { return std::string(target.param.folder); });

}  // namespace
}  // namespace holdfast::fuzz
