"""Certificates of all kinds, made by openssl where they are needed."""

import pathlib
import subprocess


class Authority:
    """An authority of its own, in a folder of its own."""

    def __init__(self, folder, name):
        self.folder = pathlib.Path(folder) / name
        self.folder.mkdir()
        self.file = self.folder / "ca.pem"
        self._key = self.folder / "ca.key"
        (self.folder / "index").touch()
        (self.folder / "serial").write_text("01\n", "ascii")
        (self.folder / "config").write_text(
            "[ca]\ndefault_ca = it\n[it]\n"
            f"dir = {self.folder}\nnew_certs_dir = $dir\ndatabase = $dir/index\n"
            "serial = $dir/serial\ndefault_md = sha256\npolicy = any\nunique_subject = no\n"
            "[any]\ncommonName = supplied\n", "ascii")
        openssl("req", "-x509", *new_key(self._key), "-days", "2", "-subj", f"/CN={name}",
                "-out", self.file)

    def issue(self, name, use="clientAuth", names=(), start="20200101000000Z",
              end="20480101000000Z"):
        """A certificate and its key, as paths."""
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        openssl("req", "-new", *new_key(key), "-subj", f"/CN={name}", "-out", request)
        extensions.write_text(
            f"basicConstraints = CA:FALSE\nextendedKeyUsage = {use}\n"
            + (f"subjectAltName = {','.join(names)}\n" if names else ""), "ascii")
        openssl("ca", "-batch", "-notext", "-config", self.folder / "config", "-cert", self.file,
                "-keyfile", self._key, "-extfile", extensions, "-startdate", start, "-enddate",
                end, "-in", request, "-out", certificate)
        return certificate, key


def new_key(path):
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path)


def openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"openssl {arguments[0]}: {done.stderr}")
