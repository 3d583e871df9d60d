#pragma once
// Certificates made while a test runs: nothing expires, nothing secret lies in the repository.

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace weft::testing {

class Certificate;

struct CertificateOptions {
    std::string common_name = "test";
    const Certificate* issuer = nullptr; ///< Null: itself.
    std::string names{};                 ///< Alternative names, as "DNS:a.test,IP:127.0.0.1".
    long valid_from_s = -3600;           ///< From now on, as below.
    long valid_until_s = 3600;
};

/// A key and its certificate, in memory and as PEM files, which are removed at the end.
class Certificate {
public:
    /// Signed by `issuer`, or by itself.
    explicit Certificate(const std::string& common_name, const Certificate* issuer = nullptr)
        : Certificate(CertificateOptions{.common_name = common_name, .issuer = issuer}) {}

    explicit Certificate(const CertificateOptions& options)
        : key_(EVP_EC_gen("P-256"), EVP_PKEY_free), certificate_(X509_new(), X509_free) {
        X509* const c = certificate_.get();
        static long serial = 1;
        X509_set_version(c, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(c), serial++);
        X509_gmtime_adj(X509_getm_notBefore(c), options.valid_from_s);
        X509_gmtime_adj(X509_getm_notAfter(c), options.valid_until_s);
        X509_set_pubkey(c, key_.get());
        add_name(X509_get_subject_name(c), "O", "Example");
        add_name(X509_get_subject_name(c), "CN", options.common_name);
        const Certificate& signer = options.issuer != nullptr ? *options.issuer : *this;
        X509_set_issuer_name(c, X509_get_subject_name(signer.certificate_.get()));
        if (!options.names.empty()) { add_extension(NID_subject_alt_name, options.names.c_str()); }
        if (options.issuer == nullptr) { add_extension(NID_basic_constraints, "critical,CA:TRUE"); }
        if (X509_sign(c, signer.key_.get(), EVP_sha256()) == 0) {
            throw std::runtime_error("a certificate cannot be signed");
        }
        static int number = 0;
        path_ =
            "/tmp/weft_certificate_" + std::to_string(getpid()) + "_" + std::to_string(number++);
        write(certificate_file(), [&](FILE* file) { return PEM_write_X509(file, c); });
        write(key_file(), [&](FILE* file) {
            return PEM_write_PrivateKey(file, key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
        });
    }
    ~Certificate() {
        std::remove(certificate_file().c_str());
        std::remove(key_file().c_str());
    }
    Certificate(const Certificate&) = delete;
    Certificate& operator=(const Certificate&) = delete;

    [[nodiscard]] std::string certificate_file() const { return path_ + ".crt"; }
    [[nodiscard]] std::string key_file() const { return path_ + ".key"; }

    /// When it expires, as "YYYY-MM-DD hh:mm:ss UTC".
    [[nodiscard]] std::string expiry() const {
        std::tm parts{};
        ASN1_TIME_to_tm(X509_get0_notAfter(certificate_.get()), &parts);
        char text[40];
        std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &parts);
        return text;
    }

    /// Replaces the key file by one that needs a password.
    void encrypt_key() const {
        write(key_file(), [&](FILE* file) {
            char password[] = "secret";
            return PEM_write_PrivateKey(
                file, key_.get(), EVP_aes_128_cbc(), reinterpret_cast<unsigned char*>(password), 6,
                nullptr, nullptr);
        });
    }

private:
    static void add_name(X509_NAME* name, const char* field, const std::string& text) {
        X509_NAME_add_entry_by_txt(
            name, field, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(text.c_str()), -1,
            -1, 0);
    }
    void add_extension(int kind, const char* text) {
        X509V3_CTX context;
        X509V3_set_ctx_nodb(&context);
        X509V3_set_ctx(&context, certificate_.get(), certificate_.get(), nullptr, nullptr, 0);
        X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, kind, text);
        X509_add_ext(certificate_.get(), extension, -1);
        X509_EXTENSION_free(extension);
    }
    template <class Write>
    static void write(const std::string& path, Write how) {
        FILE* const file = std::fopen(path.c_str(), "w");
        const bool done = file != nullptr && how(file) == 1;
        if (file != nullptr) { std::fclose(file); }
        if (!done) { throw std::runtime_error("cannot write " + path); }
    }

    std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
    std::unique_ptr<X509, decltype(&X509_free)> certificate_;
    std::string path_;
};

} // namespace weft::testing
