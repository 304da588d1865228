// preprocess: source pixels -> crop, scale, rotate -> colour -> normalise -> model input, in one pass.
// The rules, to the bit, are in docs/kernels.md; tests/reference/preprocess.py restates them in float64.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../core/affine.hpp"
#include "../core/image_view.hpp"
#include "../core/isa.hpp"
#include "../core/tensor_view.hpp"
#include "../core/yuv.hpp"

namespace handpose {

enum class Filter : std::uint8_t { kLinear, kAntialias, kCubic };
constexpr int kFilterCount = 3;
enum class Border : std::uint8_t { kConstant, kReplicate };
enum class ChannelOrder : std::uint8_t { kRgb, kBgr };

struct PreprocessParams {
  Affine image_from_input;          // finite
  Filter filter = Filter::kLinear;  // kLinear unless image_from_input is axis aligned
  Border border = Border::kConstant;
  float border_value[3] = {0, 0, 0};  // grey levels, in the order of the output channels
  ChannelOrder channel_order = ChannelOrder::kRgb;
  float scale[3] = {1, 1, 1};  // value = grey level * scale + bias, per output channel
  float bias[3] = {0, 0, 0};
  YuvToRgb yuv{};
  std::int32_t threads = 1;  // at most so many share a large call, 1..kMostThreads
};

// Faster levels work on blocks of outputs of a row, from AxisTable::begin on: of so many at most. Tables of the x axis
// go on for so many beyond `end` with copies of the last entry, so that the last block needs no care.
constexpr std::int32_t kMostBlock = 16;

// "antialias" and "cubic" sum so many rows of the output at once at most, each a part of the rows of the source.
constexpr std::int32_t kMostActive = 16;

// How many rows of the source they take at a time.
constexpr std::int32_t kRowsAtOnce = 4;

// How far their vectors may reach beyond the last sample of a row, in bytes.
constexpr std::size_t kBeyondRow = 128;

constexpr std::int32_t kShuffleBytes = 16;

// Bilinear samples are whole numbers of this part of a grey level: the weights of the four taps sum to 2^14.
constexpr float kPerSum = 0x1p-14f;

// x axis, "antialias" and "cubic", for faster levels: the sums along a row of a source that one vector holds, and what
// they are made from. See preprocess_strands.hpp.
struct TapStrands {
  std::int32_t parts;         // strands of a vector, and parts of each of their sums
  std::int32_t outputs;       // of a strand
  bool apart;                 // whether each channel has neighbouring lanes of its own
  std::int32_t steps;         // of a strand
  std::int32_t window_steps;  // so many of them take their taps from one window
  std::int32_t window_bytes;  // loaded for each window
  bool chained;               // the second window of each strand is the first of the next one
  std::int32_t reach;         // no load reaches further than this from the start of a row, in bytes
  std::int32_t* offsets;      // of each strand: its first window, in bytes from the start of a row; chained: one more
  unsigned char* places;      // of each strand, kPlacesBytes: where in a window its taps are; chained: of all
  unsigned char* weights;     // of each step of each strand
};

constexpr std::size_t kPlacesBytes = 64;
constexpr std::int32_t kStrandBytesPerTap = 12;  // of weights at most, of taps rounded up to a multiple of 16
constexpr std::int32_t kSumBytesPerOutput = 32;  // of vectors of sums at most

// How one axis of the output reads one axis of a plane. Output i, begin <= i < end, takes source samples
// start[i] .. start[i] + taps - 1, all inside the plane.
struct AxisTable {
  std::int32_t* start;    // rises or falls, never both
  std::int16_t* weights;  // of output i from stride * i on, zero beyond its taps; they sum to exactly 1 << bits
  std::int32_t taps, stride;
  std::int32_t bits;
  std::int32_t begin, end;
  TapStrands strands;
  std::int32_t active;  // y axis, taps, for faster levels: how many outputs a few rows of the source are part of
  std::int16_t* down;   // y axis, linear: the share of the second row of each output, in 1 / 2^15 and below 1
  // x axis, linear, for faster levels, which load the taps of a group of neighbouring outputs at once where they lie
  // close. offsets[i] of all outputs of a group is where bytes are loaded from a row, that of a group of 1 its own
  // first tap. shifts[i] is how far on from there the first tap of output i lies.
  std::int32_t group;
  std::int32_t group_bytes;  // loaded for each group
  std::int32_t* offsets;
  std::uint8_t* shifts;
  unsigned char* shuffles;  // kShuffleBytes per output, for what a level makes of the shifts
};

// Columns begin <= x < end.
struct Columns {
  std::int32_t begin, end;
};

// With rotation: from output pixels to positions along one axis of a plane; see preprocess_positions.hpp.
struct PositionAxis {
  double per_column, per_row, first;
  std::int32_t* of_columns;  // the lower halves of what columns give, for faster levels
};

// Everything a row needs, worked out once per call, in memory given by the caller. Index 0 is the plane of full size, 1
// the chroma planes.
struct PreprocessPlan {
  ImageView source;
  PreprocessParams params;
  TensorView out;
  AxisTable x[2], y[2];             // unused with rotation
  PositionAxis across[2], down[2];  // rotation
  bool narrow;                      // rotation: 32 bits hold positions before they are clamped
  Columns* inside;                  // rotation: of each row, the columns to sample; the rest is border
  Columns* plain;                   // of these the ones whose taps need no care; see preprocess_positions.hpp
  Columns* done;                    // of these the ones that a level has sampled before it leaves the rest to another
  std::int32_t* sums[3];            // taps: of each plane, the sums of rows of the output that are not complete
  std::int16_t* row_sums;           // taps: the sums along a few rows of the source, in 1/64 grey level
  std::uint8_t* samples[3];         // taps: of each plane, the samples of one row of the output, in whole grey levels
  std::uint8_t* edge_rows;          // taps: copies of rows of the source whose end is that of the plane
  float* levels[3];                 // one row of what is sampled from the planes, in kPerSum or in grey levels
  unsigned char* border_row;        // one row of the output, as it is where nothing is inside; NCHW: of each channel
  // The five before the last are those of the calling thread; those of the next one lie so many bytes on.
  std::size_t thread_bytes;
};

// The tables of the last call, in its workspace: a stream of frames of one geometry fills them once.
struct PreprocessTables {
  bool filled = false;
  // What the tables depend on.
  Isa isa{};
  PixelFormat format{};
  std::int32_t width = 0, height = 0, out_width = 0, out_height = 0;
  Affine image_from_input;
  Filter filter{};
  Border border{};
  // The tables.
  AxisTable x[2]{}, y[2]{};
};

// Bytes of workspace that preprocess needs, or 0 where that cannot be expressed in a size_t.
std::size_t preprocess_workspace_bytes(const ImageView& source, const PreprocessParams& params, const TensorView& out);

// Preconditions: sides 1..kMaxSide; planes as plane_count and plane_channels say and packed within a row; `out` dense
// and not overlapping the source; `workspace` aligned to 64 bytes; `tables` as the last call with this workspace left
// them, nothing else having written to it, or new ones. The same bits for any number of threads. Does not allocate,
// throw or fail.
void preprocess(const ImageView& source, const PreprocessParams& params, const TensorView& out, void* workspace,
                PreprocessTables* tables);

}  // namespace handpose
