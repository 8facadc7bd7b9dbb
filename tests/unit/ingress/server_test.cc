#include "server/ingress/server.h"

#include <grpcpp/generic/generic_stub.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"

#include "tests/unit/ingress/ingress_fixture.h"

namespace holdfast::ingress {
namespace {

using test::StatusIs;
using testing::HasSubstr;

// 1: SERVING, 2: NOT_SERVING; 0 with the code of the failure.
std::pair<int, grpc::StatusCode> HealthOf(const std::shared_ptr<grpc::Channel>& channel,
                                          const std::string& service) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  std::string encoded;
  if (!service.empty())
    encoded = "\x0a" + std::string(1, static_cast<char>(service.size())) + service;
  const grpc::Slice slice(encoded);
  const grpc::ByteBuffer request(&slice, 1);
  grpc::ByteBuffer response;
  grpc::Status status;
  absl::Notification done;
  stub.UnaryCall(&context, "/grpc.health.v1.Health/Check", {}, &request, &response,
                 [&](grpc::Status answer) {
                   status = std::move(answer);
                   done.Notify();
                 });
  done.WaitForNotification();
  grpc::Slice answer;
  if (!status.ok() || !response.TrySingleSlice(&answer).ok() || answer.size() != 2) {
    return {0, status.error_code()};
  }
  return {answer.begin()[1], status.error_code()};
}

using ServerTest = IngressTest;

int Connect(const std::string& path) {
  const int connection = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  path.copy(name.sun_path, sizeof name.sun_path - 1);
  EXPECT_EQ(::connect(connection, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  return connection;
}

mode_t ModeOf(const std::filesystem::path& path) {
  struct stat found {};
  EXPECT_EQ(::stat(path.c_str(), &found), 0);
  return found.st_mode & 07777;
}

TEST_F(ServerTest, TheSocketAndItsFolderAreForOurGroupAlone) {
  StartServer();
  EXPECT_EQ(ModeOf(options_.gate.listen.socket_path), 0660);
  EXPECT_EQ(ModeOf(folder_), 0750);
  EXPECT_EQ(server_->address(), "unix:" + options_.gate.listen.socket_path);
}

TEST_F(ServerTest, TheModeOfAFolderThatWasThereStays) {
  std::filesystem::create_directories(folder_);
  ASSERT_EQ(::chmod(folder_.c_str(), 0777), 0);
  StartServer();
  EXPECT_EQ(ModeOf(folder_), 0777);
}

TEST_F(ServerTest, AStaleSocketIsReplaced) {
  std::filesystem::create_directories(folder_);
  const int dead = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  options_.gate.listen.socket_path.copy(name.sun_path, sizeof name.sun_path - 1);
  ASSERT_EQ(::bind(dead, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  ::close(dead);
  StartServer();
  EXPECT_OK(server_->Probe(absl::Seconds(10)));
}

TEST_F(ServerTest, ASocketThatSomebodyListensOnIsLeftAlone) {
  StartServer();
  EXPECT_THAT(Server::Start(options_, pipeline_, {}, base::SystemClock(), metrics_),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("is in use")));
  EXPECT_OK(server_->Probe(absl::Seconds(10)));
}

TEST_F(ServerTest, AFileThatIsNoSocketIsLeftAlone) {
  std::filesystem::create_directories(folder_);
  std::ofstream(options_.gate.listen.socket_path) << "precious";
  EXPECT_THAT(Server::Start(options_, pipeline_, {}, base::SystemClock(), metrics_),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("is no socket")));
  EXPECT_EQ(std::filesystem::file_size(options_.gate.listen.socket_path), 8);
}

TEST_F(ServerTest, TheSocketGoesWithTheServerUnlessItIsAnothers) {
  StartServer();
  server_->Shutdown(absl::Seconds(1));
  EXPECT_FALSE(std::filesystem::exists(options_.gate.listen.socket_path));

  StartServer();
  std::filesystem::remove(options_.gate.listen.socket_path);
  std::ofstream(options_.gate.listen.socket_path) << "another's";
  server_->Shutdown(absl::Seconds(1));
  EXPECT_TRUE(std::filesystem::exists(options_.gate.listen.socket_path));
}

TEST_F(ServerTest, OnLoopbackTheSystemMayChooseThePort) {
  for (const char* text : {"127.0.0.1:0", "[::1]:0"}) {
    const auto address = gate::ParseListenAddress(text);
    ASSERT_OK(address);
    options_.gate.listen = *address;
    auto server = Server::Start(options_, pipeline_, {}, base::SystemClock(), metrics_);
    if (!server.ok() && std::string(text) == "[::1]:0") continue;  // No IPv6 on this machine.
    ASSERT_OK(server);
    EXPECT_EQ((*server)->address().find(":0"), std::string::npos) << (*server)->address();
    EXPECT_OK((*server)->Probe(absl::Seconds(10)));
  }
}

TEST_F(ServerTest, HealthIsToldForTheServerAndEachService) {
  StartServer();
  EXPECT_EQ(HealthOf(channel_, "").first, 1);
  EXPECT_EQ(HealthOf(channel_, "holdfast.v1.IngestService").first, 1);
  EXPECT_EQ(HealthOf(channel_, "holdfast.v1.Nothing").second, grpc::StatusCode::NOT_FOUND);
  server_->SetTakingEvents(false);
  EXPECT_EQ(HealthOf(channel_, "holdfast.v1.IngestService").first, 2);
  EXPECT_EQ(HealthOf(channel_, "").first, 1);
  server_->SetTakingEvents(true);
  EXPECT_EQ(HealthOf(channel_, "holdfast.v1.IngestService").first, 1);
}

TEST_F(ServerTest, TheProbeFailsOnceNobodyListens) {
  StartServer();
  EXPECT_OK(server_->Probe(absl::Seconds(10)));
  server_->Shutdown(absl::Seconds(1));
  EXPECT_THAT(server_->Probe(absl::Seconds(10)),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("cannot connect")));
}

TEST_F(ServerTest, MoreConnectionsThanAllowedAreClosedAndTheListenerRecovers) {
  // The listener lets its own process in, as the probe needs, so it is a child that knocks.
  options_.gate.admission.connections_max = 0;
  StartServer();
  const std::string path = options_.gate.listen.socket_path;
  const pid_t child = ::fork();
  if (child == 0) {
    const int connection = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    path.copy(name.sun_path, sizeof name.sun_path - 1);
    if (::connect(connection, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0) ::_exit(2);
    char byte = 0;
    // Closed at once: nothing to read, and no waiting for it.
    ::_exit(::read(connection, &byte, 1) == 0 ? 0 : 1);
  }
  int ended = 0;
  ASSERT_EQ(::waitpid(child, &ended, 0), child);
  EXPECT_EQ(WEXITSTATUS(ended), 0);
  EXPECT_EQ(metrics_.ConnectionsRefused("too_many").Value(), 1);
  EXPECT_OK(server_->Probe(absl::Seconds(10)));
}

TEST_F(ServerTest, ACompressedRequestIsNotUnpacked) {
  StartServer();
  grpc::ClientContext context;
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  v1::WriteRequest request;
  *request.mutable_batch() = BatchOf(0, 1000);
  v1::WriteResponse response;
  EXPECT_EQ(stub_->Write(&context, request, &response).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_TRUE(pipeline_.batches().empty());
}

TEST_F(ServerTest, ARequestFarOverTheLimitIsRefusedByGrpc) {
  StartServer();
  ClientStream stream(*stub_);
  stream.Send(HelloOf(kProducer));
  v1::StreamRequest request;
  request.mutable_batch()->set_first_sequence(1);
  request.mutable_batch()->add_events()->mutable_message()->set_raw_json(
      std::string(size_t{6} << 20, ' '));
  stream.Send(request);
  EXPECT_EQ(stream.EndAfterAll().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(pipeline_.AwaitStreams(0));
}

TEST_F(ServerTest, BytesThatAreNoHttp2DisturbNobody) {
  StartServer();
  const int connection = Connect(options_.gate.listen.socket_path);
  const std::string noise = "GET / HTTP/1.1\r\n\r\n" + std::string(10000, '\xff');
  ASSERT_GT(::send(connection, noise.data(), noise.size(), MSG_NOSIGNAL), 0);
  EXPECT_OK(server_->Probe(absl::Seconds(10)));
  ::close(connection);
}

TEST_F(ServerTest, ShutdownEndsWithCallsThatNeverEnd) {
  StartServer();
  auto stream = Open(v1::ACK_LEVEL_COMMITTED);
  stream->Send(Request(BatchOf(1, 1)));
  ASSERT_TRUE(pipeline_.AwaitBatches(1));
  // The journal never answers: the stream is cut off.
  server_->Shutdown(absl::Milliseconds(50));
  EXPECT_FALSE(stream->EndAfterAll().ok());
  EXPECT_TRUE(pipeline_.AwaitStreams(0));
}

}  // namespace
}  // namespace holdfast::ingress
