// The service that operators call; it shares the gateways' listener.

#pragma once

#include <grpcpp/grpcpp.h>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"

#include "holdfast/v1/admin.grpc.pb.h"
#include "server/admin/background.h"
#include "server/admin/daemon_view.h"
#include "server/admin/tail.h"
#include "server/base/clock.h"
#include "server/mysql/session.h"
#include "server/writer/lane_writer.h"

namespace holdfast::admin {

// Thread-safe.
class AdminService final : public v1::AdminService::CallbackService {
 public:
  // All must outlive the service's last call.
  // `writer`: as the daemon's lanes have it, for replays.
  AdminService(DaemonView& daemon, mysql::SessionSource& sessions, base::Clock& clock,
               const writer::WriterOptions& writer);

  grpc::ServerUnaryReactor* GetStatus(grpc::CallbackServerContext* context,
                                      const v1::GetStatusRequest* request,
                                      v1::GetStatusResponse* response) override;
  grpc::ServerUnaryReactor* GetHistory(grpc::CallbackServerContext* context,
                                       const v1::GetHistoryRequest* request,
                                       v1::GetHistoryResponse* response) override;
  grpc::ServerUnaryReactor* ListQuarantine(grpc::CallbackServerContext* context,
                                           const v1::ListQuarantineRequest* request,
                                           v1::ListQuarantineResponse* response) override;
  grpc::ServerUnaryReactor* ReplayQuarantine(grpc::CallbackServerContext* context,
                                             const v1::ReplayQuarantineRequest* request,
                                             v1::ReplayQuarantineResponse* response) override;
  grpc::ServerUnaryReactor* DiscardQuarantine(grpc::CallbackServerContext* context,
                                              const v1::DiscardQuarantineRequest* request,
                                              v1::DiscardQuarantineResponse* response) override;
  grpc::ServerUnaryReactor* ListCircuits(grpc::CallbackServerContext* context,
                                         const v1::ListCircuitsRequest* request,
                                         v1::ListCircuitsResponse* response) override;
  grpc::ServerUnaryReactor* ResetCircuit(grpc::CallbackServerContext* context,
                                         const v1::ResetCircuitRequest* request,
                                         v1::ResetCircuitResponse* response) override;
  grpc::ServerUnaryReactor* Drain(grpc::CallbackServerContext* context,
                                  const v1::DrainRequest* request,
                                  v1::DrainResponse* response) override;
  grpc::ServerUnaryReactor* Diagnose(grpc::CallbackServerContext* context,
                                     const v1::DiagnoseRequest* request,
                                     v1::DiagnoseResponse* response) override;
  grpc::ServerUnaryReactor* GetLogLevel(grpc::CallbackServerContext* context,
                                        const v1::GetLogLevelRequest* request,
                                        v1::GetLogLevelResponse* response) override;
  grpc::ServerUnaryReactor* SetLogLevel(grpc::CallbackServerContext* context,
                                        const v1::SetLogLevelRequest* request,
                                        v1::SetLogLevelResponse* response) override;
  grpc::ServerUnaryReactor* Audit(grpc::CallbackServerContext* context,
                                  const v1::AuditRequest* request,
                                  v1::AuditResponse* response) override;
  grpc::ServerWriteReactor<v1::TailResponse>* Tail(grpc::CallbackServerContext* context,
                                                   const v1::TailRequest* request) override;

 private:
  // Runs `task` where it may wait for the database; refuses if too many wait there.
  grpc::ServerUnaryReactor* RunInBackground(
      grpc::CallbackServerContext* context,
      absl::AnyInvocable<void(grpc::ServerUnaryReactor*)> task);
  // Settles each event of a request in turn, with what both kinds of requests have in common.
  template <typename Request, typename Response, typename Settle>
  grpc::ServerUnaryReactor* SettleEach(grpc::CallbackServerContext* context, const Request* request,
                                       Response* response, absl::string_view verb, Settle settle);

  DaemonView& daemon_;
  mysql::SessionSource& sessions_;
  base::Clock& clock_;
  const writer::WriterOptions writer_;
  admin::Tail tail_;
  Background background_;
  Background diagnoses_;
  Background audits_;  // They take long: nobody else waits for them.
};

}  // namespace holdfast::admin
