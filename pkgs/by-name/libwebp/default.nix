{ buildC, fetchCrate }:
let
  # By directory; the files for other processors compile to nothing and are left out.
  files = {
    sharpyuv = [ "sharpyuv" "sharpyuv_cpu" "sharpyuv_csp" "sharpyuv_dsp" "sharpyuv_gamma" "sharpyuv_sse2" ];
    "src/dec" = [
      "alpha_dec" "buffer_dec" "frame_dec" "idec_dec" "io_dec" "quant_dec" "tree_dec" "vp8_dec" "vp8l_dec"
      "webp_dec"
    ];
    "src/dsp" = [
      "alpha_processing" "alpha_processing_sse2" "alpha_processing_sse41" "cost" "cost_sse2" "cpu" "dec"
      "dec_clip_tables" "dec_sse2" "dec_sse41" "enc" "enc_sse2" "enc_sse41" "filters" "filters_sse2"
      "lossless" "lossless_avx2" "lossless_enc" "lossless_enc_avx2" "lossless_enc_sse2"
      "lossless_enc_sse41" "lossless_sse2" "lossless_sse41" "rescaler" "rescaler_sse2" "ssim" "ssim_sse2"
      "upsampling" "upsampling_sse2" "upsampling_sse41" "yuv" "yuv_sse2" "yuv_sse41"
    ];
    "src/enc" = [
      "alpha_enc" "analysis_enc" "backward_references_cost_enc" "backward_references_enc" "config_enc"
      "cost_enc" "filter_enc" "frame_enc" "histogram_enc" "iterator_enc" "near_lossless_enc"
      "picture_csp_enc" "picture_enc" "picture_psnr_enc" "picture_rescale_enc" "picture_tools_enc"
      "predictor_enc" "quant_enc" "syntax_enc" "token_enc" "tree_enc" "vp8l_enc" "webp_enc"
    ];
    "src/utils" = [
      "bit_reader_utils" "bit_writer_utils" "color_cache_utils" "filters_utils" "huffman_encode_utils"
      "huffman_utils" "palette" "quant_levels_dec_utils" "quant_levels_utils" "random_utils"
      "rescaler_utils" "thread_utils" "utils"
    ];
  };
in
buildC {
  pname = "libwebp";
  version = "1.6.0";
  src = fetchCrate {
    crate = "libwebp-sys";
    version = "0.14.4";
    sha256 = "6b3a87b44e34d17161e4f17d92a463d596cb13825dcd1758ed18fd3a721e189c";
  };
  sourceRoot = "vendor";

  library = "webp";
  abi = "7";
  cflags = [ "-I." ];
  links = [ "m" "pthread" ];
  sources = builtins.concatMap (dir: map (f: "${dir}/${f}.c") files.${dir}) (builtins.attrNames files);
  # sharpyuv includes one of the C files.
  private = [ "src/**/*.h" "sharpyuv/*.h" "src/dsp/cpu.c" ];
  public = [ "src/webp/decode.h:webp/decode.h" "src/webp/encode.h:webp/encode.h" "src/webp/types.h:webp/types.h" ];
  documents = [ "COPYING" ];
}
