#!/usr/bin/env python3
"""Shows each check of layering.py faulty trees, which it must find, and sound ones."""

import pathlib
import tempfile
import unittest

import layering


class LayeringTest(unittest.TestCase):
    def assert_fault(self, check, tree, part):
        faults = list(check(tree))
        self.assertEqual(len(faults), 1, faults)
        self.assertIn(part, faults[0])

    def assert_sound(self, check, tree):
        self.assertEqual(list(check(tree)), [])

    def test_every_check_is_tried_here(self):
        tried = {name.removeprefix("test_") for name in dir(self) if name.startswith("test_")}
        for check in layering.CHECKS:
            self.assertIn(check.__name__.removeprefix("check_"), tried)

    def test_rooms(self):
        self.assert_fault(layering.check_rooms, {"server/util/a.h": ""}, "server/util/a.h")
        self.assert_fault(layering.check_rooms, {"server/a.h": ""}, "server/a.h")
        self.assert_sound(layering.check_rooms, {"server/base/a.h": "", "server/README.md": ""})

    def test_heights(self):
        def including(room, target):
            return {f"server/{room}/a.cc": f'#include "{target}"\n'}
        check = layering.check_heights
        self.assert_sound(check, including("writer", "server/mysql/pool.h"))
        self.assert_sound(check, including("writer", "server/writer/lane_writer.h"))
        self.assert_sound(check, including("base", "absl/status/status.h"))
        self.assert_fault(check, including("mysql", "server/writer/a.h"), "not below mysql")
        self.assert_fault(check, including("disk", "server/mysql/pool.h"), "not below disk")
        self.assert_fault(check, including("event", "server/metrics/metrics.h"), "not below event")
        self.assert_fault(check, including("daemon", "server/util/strings.h"), "not below daemon")
        self.assert_fault(check, {"server/flow/a.h": "# include <server/disk/a.h>"}, "below flow")
        linking = "add_room(flow\n  DEPS holdfast_base {}\n  SOURCES a.cc)"
        self.assert_sound(check, {"server/flow/CMakeLists.txt": linking.format("holdfast_event")})
        self.assert_fault(check, {"server/flow/CMakeLists.txt": linking.format("holdfast_disk")},
                          "links holdfast_disk")

    def test_libraries(self):
        check = layering.check_libraries
        for room, target in [("writer", "mysql.h"), ("pipeline", "grpcpp/grpcpp.h"),
                             ("journal", "prometheus/counter.h"), ("metrics", "civetweb.h"),
                             ("event", "spdlog/spdlog.h"), ("writer", "openssl/evp.h"),
                             ("writer", "holdfast/v1/ingest.grpc.pb.h")]:
            self.assert_fault(check, {f"server/{room}/a.cc": f"#include <{target}>"}, target)
        for room, target in [("mysql", "mysql.h"), ("ingress", "grpcpp/grpcpp.h"),
                             ("writer", "holdfast/v1/event.pb.h"), ("mysql", "mysqlish.h")]:
            self.assert_sound(check, {f"server/{room}/a.cc": f"#include <{target}>"})

    def test_client(self):
        check = layering.check_client
        self.assert_fault(check, {"client/a.h": '#include "server/base/clock.h"'}, "client/a.h")
        self.assert_fault(check, {"client/CMakeLists.txt": "DEPS holdfast_base"}, "holdfast_base")
        self.assert_sound(check, {"client/a.h": '#include "client/b.h"',
                                  "client/CMakeLists.txt": "DEPS holdfast_grpc"})

    def test_named(self):
        check = layering.check_named
        build = {"tests/unit/base/CMakeLists.txt": "SOURCES log_test.cc  # not clock_test.cc\n"}
        self.assert_sound(check, {**build, "tests/unit/base/log_test.cc": ""})
        self.assert_fault(check, {**build, "tests/unit/base/clock_test.cc": ""}, "clock_test.cc")
        self.assert_fault(check, {**build, "tests/unit/base/og_test.cc": ""}, "og_test.cc")
        self.assert_fault(check, {"tests/unit/new/a_test.cc": ""}, "a_test.cc")
        above = {"client/CMakeLists.txt": "SOURCES cli/main.cc)"}
        self.assert_sound(check, {**above, "client/cli/main.cc": ""})
        self.assert_fault(check, {**above, "client/main.cc": ""}, "client/main.cc")

    def test_sizes(self):
        check = layering.check_sizes
        self.assert_sound(check, {"server/base/a.cc": "x\n" * 400})
        self.assert_fault(check, {"server/base/a.cc": "x\n" * 401}, "401 lines")
        self.assert_fault(check, {"client/a.cc": "x\n" * 401}, "401 lines")
        self.assert_sound(check, {"client/a.h": "é" * 100 + "\n"})
        self.assert_fault(check, {"client/a.h": "\n" + "é" * 101 + "\n"}, "client/a.h:2")

    def test_functions(self):
        def block(lines, head="absl::Status Do(int x) {", tail="}"):
            return {"server/base/a.cc": "\n".join([head] + ["  x;"] * (lines - 2) + [tail, ""])}
        check = layering.check_functions
        self.assert_sound(check, block(70))
        self.assert_fault(check, block(71), "71 lines")
        self.assert_fault(check, block(71, "Thing::Thing(int x) : x_(x) {"), "71 lines")
        self.assert_fault(check, block(71, "int Thing::Get() const {"), "71 lines")
        self.assert_fault(check, block(71, "template <typename T>\nvoid Do() {"), "base/a.cc:2")
        self.assert_fault(check, block(71, "void Do(int x,\n        int y) {"), "72 lines")
        self.assert_sound(check, block(200, "class Thing final : public Base {", "};"))
        self.assert_sound(check, block(200, "constexpr int kTable[] = {", "};"))
        two = "namespace a {\nvoid F() {\n" + "  x;\n" * 40 + "}\nint x;\n"
        self.assert_sound(check, {"client/a.cc": two + "void G() {\n" + "  x;\n" * 40 + "}\n}\n"})

    def test_words(self):
        check = layering.check_words
        for code in ["std::string_view x;", "std::mutex mu;", "std::lock_guard l(mu);",
                     "absl::optional<int> x;", "throw 1;"]:
            self.assert_fault(check, {"server/event/a.cc": code}, "server/event/a.cc:1")
            self.assert_fault(check, {"client/a.cc": "\n" + code}, "client/a.cc:2")
            self.assert_sound(check, {"server/event/a.cc": "// " + code})
            self.assert_sound(check, {"server/event/a.cc": "/* 1\n " + code + "*/"})
            self.assert_sound(check, {"server/event/a.cc": f'Log("{code}");'})
        for code in ["x = absl::Now();", "absl::SleepFor(d);", "sleep(1);", "usleep(1);",
                     "std::this_thread::sleep_for(d);", "std::chrono::steady_clock::now();"]:
            self.assert_fault(check, {"server/event/a.cc": code}, "base::Clock")
            self.assert_sound(check, {"server/base/a.cc": code})
        for code in ["std::thread t;", "mu_.Await(c);", "mu->AwaitWithTimeout(c, d);"]:
            self.assert_fault(check, {"server/pipeline/a.cc": code}, "base::Clock")
            self.assert_sound(check, {"server/ingress/a.cc": code})
        self.assert_sound(check, {"server/pipeline/a.cc": "clock_.Await(mu_, c);"})
        self.assert_fault(check, {"server/journal/a.cc": "::fdatasync(fd);"}, "disk::Disk")
        self.assert_sound(check, {"server/disk/a.cc": "::fdatasync(fd);"})
        self.assert_fault(check, {"server/event/a.cc": "int x = 1'000; // y\nthrow 'a';"}, ":2")

    def test_finished(self):
        check = layering.check_finished
        self.assert_fault(check, {"server/base/a.cc": "// TODO: later"}, "TODO")
        self.assert_fault(check, {"proto/a.proto": "\n// FIXME"}, "proto/a.proto:2")
        self.assert_fault(check, {"tests/unit/a.cc": "// XXX"}, "XXX")
        self.assert_sound(check, {"server/base/a.cc": "kTODO xxx Todo"})

    def test_headers(self):
        check = layering.check_headers
        sound = "#pragma once\n\nnamespace holdfast::base {\n}\n"
        self.assert_sound(check, {"server/base/a.h": sound})
        self.assert_fault(check, {"server/base/a.h": "#ifndef A_H\n"}, "#pragma once")
        self.assert_sound(check, {"server/event/a.h": sound + "namespace holdfast::event {\n}\n"})
        for other in ["flow", "metrics"]:
            self.assert_fault(check, {"server/event/a.h": sound.replace("base", other)}, other)

    def test_reading_a_folder_finds_what_lies_in_it(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "server" / "base").mkdir(parents=True)
            (root / "server" / "base" / "a.cc").write_text("throw 1;")
            (root / "build").mkdir()
            (root / "build" / "b.cc").write_text("throw 1;")
            self.assertEqual(layering.read(root), {"server/base/a.cc": "throw 1;"})


if __name__ == "__main__":
    unittest.main()
