// Runs a fuzz target without a fuzzer: on the files given, then on random bytes. For compilers and machines that have
// no libFuzzer.
//
//   fuzz_NAME FOLDER [RANDOM_INPUTS [SEED]]
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
  if (argc < 2 || !std::filesystem::is_directory(argv[1])) {
    std::fprintf(stderr, "usage: %s FOLDER [RANDOM_INPUTS [SEED]]\n", argv[0]);
    return 2;
  }
  long files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    ++files;
  }
  const long inputs = argc > 2 ? std::strtol(argv[2], nullptr, 10) : 0;
  std::mt19937 random(argc > 3 ? static_cast<std::uint32_t>(std::strtoul(argv[3], nullptr, 10)) : 1);
  std::vector<std::uint8_t> bytes;
  for (long i = 0; i < inputs; ++i) {
    bytes.resize(16 + random() % 200);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  std::printf("%ld files and %ld random inputs: the same bits on every level\n", files, inputs);
  return 0;
}
