// Runs a fuzz target without a fuzzer: on its seeds, then on random bytes. For compilers and machines that have no
// libFuzzer.
//
//   fuzz_NAME seeds/NAME.txt [RANDOM_INPUTS [SEED]]
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
  std::ifstream seeds(argc > 1 ? argv[1] : "");
  if (!seeds) {
    std::fprintf(stderr, "usage: %s SEEDS.txt [RANDOM_INPUTS [SEED]]\n", argv[0]);
    return 2;
  }
  std::vector<std::uint8_t> bytes;
  long seed_count = 0;
  for (std::string line; std::getline(seeds, line); ++seed_count) {  // one input in hexadecimal digits
    bytes.clear();
    for (std::size_t at = 0; at + 1 < line.size(); at += 2) {
      bytes.push_back(static_cast<std::uint8_t>(std::stoul(line.substr(at, 2), nullptr, 16)));
    }
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  const long inputs = argc > 2 ? std::strtol(argv[2], nullptr, 10) : 0;
  std::mt19937 random(argc > 3 ? static_cast<std::uint32_t>(std::strtoul(argv[3], nullptr, 10)) : 1);
  for (long i = 0; i < inputs; ++i) {
    bytes.resize(8 + random() % 100);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  std::printf("%ld seeds and %ld random inputs: the same bits on every level\n", seed_count, inputs);
  return 0;
}
