// draw_skeleton on every level, with points and scores that are any floats; bytes between rows stay as they are.
#include "kernels/skeleton_draw.hpp"
#include "levels.hpp"
#include "pictures.hpp"

using namespace handpose;
using namespace handpose::fuzzing;

namespace {

constexpr std::int32_t kMostJoints = 8, kMostBones = 8;

constexpr PixelFormat kFormats[] = {PixelFormat::kBgr24, PixelFormat::kRgb24, PixelFormat::kBgra32, PixelFormat::kNv12,
                                    PixelFormat::kYuv420p};

// A thickness or radius: usually a few pixels, at most what the binding allows.
float read_pixels(FuzzInput* input) {
  const std::uint8_t b = input->byte();
  if (b < 8) return 1e6f;
  if (b < 16) return 0.0f;
  return static_cast<float>(b) * (b % 4 == 0 ? 0.5f : 0.03125f);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static GuardedPicture picture;
  static const Guarded points_block(8 * kMostJoints), scores_block(4 * kMostJoints), bones_block(8 * kMostBones),
      bone_colors_block(3 * kMostBones), joint_colors_block(3 * kMostJoints);
  static std::uint8_t before[GuardedPicture::kMostBytes], expected[GuardedPicture::kMostBytes];

  FuzzInput input(data, size);
  picture.read(kFormats[input.choice(5)], &input);
  const std::uint8_t ends = input.byte();
  const auto joints = static_cast<std::size_t>(input.choice(kMostJoints) + 1);
  const auto bones = static_cast<std::size_t>(input.choice(kMostBones + 1));
  SkeletonParams params;
  params.thickness = read_pixels(&input);
  params.joint_radius = read_pixels(&input);
  params.opacity = static_cast<float>(input.byte()) / 255.0f;
  const float min_score = input.any_float(1.0f);
  params.min_score = min_score >= -1e30f && min_score <= 1e30f ? min_score : 0.0f;
  params.color_matrix = input.one_of<ColorMatrix>(2);
  params.color_range = input.one_of<ColorRange>(2);

  auto* const points = points_block.place_items<float>(2 * joints, (ends & 1) != 0);
  for (std::size_t i = 0; i < 2 * joints; ++i) points[i] = input.any_float(120.0f);
  if ((ends & 64) != 0 && joints > 1) points[2] = points[0];  // an upright bone
  auto* const scores = scores_block.place_items<float>(joints, (ends & 2) != 0);
  for (std::size_t i = 0; i < joints; ++i) scores[i] = (ends & 128) != 0 ? input.any_float(1.5f) : 1.0f;
  auto* const pairs = bones_block.place_items<std::int32_t>(2 * bones, (ends & 4) != 0);
  for (std::size_t i = 0; i < 2 * bones; ++i) pairs[i] = input.byte() % static_cast<std::int32_t>(joints);
  std::uint8_t* const bone_colors = bone_colors_block.place(3 * bones, (ends & 8) != 0);
  std::uint8_t* const joint_colors = joint_colors_block.place(3 * joints, (ends & 16) != 0);
  input.fill(bone_colors, 3 * bones);
  input.fill(joint_colors, 3 * joints);
  params.points = points;
  params.scores = (ends & 32) != 0 ? scores : nullptr;
  params.joints = joints;
  params.bones = pairs;
  params.bone_count = bones;
  params.bone_colors = bone_colors;
  params.joint_colors = joint_colors;

  picture.save(before);
  on_every_level(
      [&] {
        picture.restore(before);
        draw_skeleton(picture.writable(), params);
      },
      [&](bool defines) {
        if (defines) picture.save(expected);
        if (!picture.equals(expected)) fail("draw_skeleton: a level differs from scalar");
        if (!picture.same_padding(before)) fail("draw_skeleton: bytes between the rows were written");
      });
  return 0;
}
